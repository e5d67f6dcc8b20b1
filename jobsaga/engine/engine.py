"""The deciding: take what has arrived, lock the rows it concerns, apply it, allocate, write, commit, send.

Theory of operation
  ``process`` is one lap and one transaction. Rows are locked without ever waiting for someone else's code:
  a message whose rows are not all free waits, and so do the later messages of the same job. "Now" is read
  after the locks. A transport that lives in the same database takes part in the transaction; with any
  other, sending and acknowledging come after the commit, so a crash in between only repeats messages.

  ``sweep`` turns what is overdue in the rows into messages and lets a lap handle them: deadlines, silent
  workers, free slots beside waiting jobs. Nothing is lost with a lost message; it is only later.

  Failures: a message whose handling raises is undone alone and becomes a dead letter (``turn``). A batch
  that cannot be written is tried again message by message, and the one that cannot is the dead letter.
  What is nobody's fault (a deadlock, a lost connection) raises: the caller runs the lap again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import msgspec

from jobsaga.engine.allocation import Allocation, Places
from jobsaga.engine.locks import begin
from jobsaga.engine.options import EngineOptions
from jobsaga.engine.order import overtaken
from jobsaga.engine.strategies import Strategies
from jobsaga.engine.turn import Turn
from jobsaga.ids import uuid7
from jobsaga.messages import SAGA_MESSAGES, AttemptStatus, JobAttemptStatus, JobEvent, Message, decode, encode
from jobsaga.store.base import Retention, Store, Transaction
from jobsaga.transport.base import SAGA, Delivery, Transport, instance_endpoint

logger = logging.getLogger("jobsaga.engine")

#: How many batches of what has arrived are read at most before somebody is held to be lost.
READ_ON = 20
#: So many rows of a kind are removed in one transaction.
PRUNED_AT_ONCE = 500


class Engine:
    """One saga host's engine. Several may work side by side on the same rows."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        options: EngineOptions | None = None,
        *,
        strategies: Strategies | None = None,
        publish: Callable[[Sequence[JobEvent]], None] | None = None,
        new_id: Callable[[], UUID] = uuid7,
    ) -> None:
        self.store, self.transport = store, transport
        self.options = options or EngineOptions.from_settings()
        self.strategies, self.publish, self.new_id = strategies or Strategies(), publish, new_id
        #: Job types that could not be served in the last lap, or not to the end.
        self.to_do: set[str] = set()
        self._places = Places()
        #: Seconds from the last sweep to the next deadline of a job. None: no job has one.
        self.due_in: float | None = None
        #: What the lap in hand has received.
        self._received: list[Delivery] = []
        #: Messages of the last sweep that could not be handled: their dead letters are written.
        self._failing: set[str] = set()

    def process(self) -> int:
        """One lap over what has arrived, and over the types that have a job waiting; how much was done.

        Raises what is not the messages' fault (a deadlock, a lost connection, our own bug): nothing was done
        then, run it again.
        """
        try:
            return self._lap(self.options.batch)
        except Exception as error:
            if not self.store.is_poison(error):
                raise
            logger.exception("A batch could not be handled: its messages are tried one by one")
        return self._one_by_one()

    def say(self, messages: Iterable[Message]) -> int:
        """Apply messages that came by no transport: what the sweep found, or a test says.

        One that cannot be handled is tried again with the next sweep, and buried once.
        """
        said, failing = list(messages), set[str]()
        for start in range(0, len(said), self.options.batch):
            failing |= self._say_safely(said[start : start + self.options.batch])
        self._failing = failing
        return len(said)

    def execute(self, tx: Transaction, message: Message, *, wait: bool = True) -> Turn:
        """Apply one command inside the caller's transaction; nothing is sent before that commits.

        A command that meets a lock of someone else's code is left to the saga hosts.
        """
        turn = begin(tx, self._turn(), [message], wait=wait)
        if turn.busy:
            turn.outgoing.append((SAGA, message))
        else:
            turn.apply(message)
        tx.write(turn.finish())
        return turn

    def fresh_turn(self, tx: Transaction) -> Turn:
        """A turn without any row in hand: for jobs that do not exist yet."""
        turn = self._turn()
        turn.now = tx.now()
        return turn

    def _turn(self) -> Turn:
        return Turn(self.options, self.new_id)

    def sweep(self, *, may_judge: Callable[[], bool] = lambda: True, limit: int = 1000) -> int:
        """Handle what is overdue; how many messages that made.

        Unless it *may_judge* nobody's silence is held against him: for a host that was away itself, or had to
        wait for this transaction. So it is asked within.
        """
        options = self.options
        with self.store.transaction() as tx:
            now, judge = tx.now(), may_judge()
            found, next_due = tx.due(now, limit), tx.next_due(now)
            self.due_in = None if next_due is None else (next_due - now).total_seconds()
            expired = tx.expire_instances(now) if judge else []
            if judge:
                late_after = 2 * options.heartbeat_interval
                found += tx.silent(now, late_after, options.heartbeat_timeout, limit)
        for instance_id in expired:
            self.transport.drop(instance_endpoint(instance_id))
        if any(isinstance(each, JobAttemptStatus) and each.status is AttemptStatus.LOST for each in found):
            self._read_on()
        return self.say(found)

    def _read_on(self) -> None:
        """Who has left in good order said its last words before: they are in the queue, and count first."""
        for _ in range(READ_ON):
            if self.process() < self.options.batch:
                return

    def prune(self, limit: int = PRUNED_AT_ONCE) -> int:
        """Remove a small batch of what is older than it must be kept; how many rows went."""
        options = self.options
        retention = Retention(options.job_retention, options.history_retention, options.log_retention)
        with self.store.transaction() as tx:
            self.transport.tidy(tx.now(), limit)
            return tx.prune(tx.now(), limit, retention)

    # One lap

    def _lap(self, limit: int, *, fill: bool = True) -> int:
        """Handle at most *limit* messages, and give out slots if *fill*."""
        if not self.transport.transactional:
            return self._lap_outside(limit, fill)
        with self.store.transaction() as tx:
            turn, handled, held, left_over = self._handle(tx, limit, fill)
            self.transport.ack(handled)
            self.transport.defer(held)
            self.transport.send(turn.outgoing)
        return self._done(turn, left_over, len(handled))

    def _lap_outside(self, limit: int, fill: bool) -> int:
        with self.store.transaction() as tx:
            turn, handled, held, left_over = self._handle(tx, limit, fill)
        self.transport.send(turn.outgoing)
        self.transport.ack(handled)
        self.transport.defer(held)
        return self._done(turn, left_over, len(handled))

    def _handle(
        self, tx: Transaction, limit: int, fill: bool
    ) -> tuple[Turn, list[Delivery], list[Delivery], set[str]]:
        """The turn over what has arrived; what was handled of it, what must wait; the types left to serve."""
        self._received = self.transport.receive(SAGA, limit)
        messages, undecodable = _decoded(self._received)
        turn = begin(tx, self._turn(), [message for message, _ in messages])
        turn.busy |= overtaken(self.transport, messages, self._received)
        for delivery, error in undecodable:
            turn.bury(delivery.body, error)
        for message, delivery in messages:
            if getattr(message, "job_id", None) not in turn.busy:
                turn.hear(message, delivery.body)
        allocation = self._allocate(tx, turn, fill)
        tx.write(turn.finish())
        held = [each for message, each in messages if getattr(message, "job_id", None) in turn.busy]
        # Not put off, but left where it is: a later word to the same type must not be heard first.
        left = [each for message, each in messages if message in allocation.unheard]
        waiting = {id(each) for each in (*held, *left)}
        handled = [each for each in self._received if id(each) not in waiting]
        return turn, handled, held, allocation.left_over

    def _say_safely(self, messages: list[Message]) -> set[str]:
        """Apply *messages*, all at once or else one by one; those that cannot be handled, encoded."""
        try:
            return self._say(messages, fill=True)
        except Exception as error:
            if not self.store.is_poison(error):
                raise
            logger.exception("A batch could not be handled: its messages are tried one by one")
        return set().union(*(self._say_alone(message) for message in messages))

    def _say_alone(self, message: Message) -> set[str]:
        try:
            return self._say([message], fill=False)
        except Exception as error:
            if not self.store.is_poison(error):
                raise
            body = encode(message)
            with self.store.transaction() as tx:
                self._write_dead(tx, {body} - self._failing, error)
            return {body}

    def _say(self, messages: list[Message], *, fill: bool) -> set[str]:
        with self.store.transaction() as tx:
            turn = begin(tx, self._turn(), messages)
            for message in messages:
                if getattr(message, "job_id", None) not in turn.busy:
                    turn.hear(message)
            allocation = self._allocate(tx, turn, fill)
            # The end of an override is no message: the next sweep finds it again.
            turn.outgoing += [(SAGA, each) for each in allocation.unheard if isinstance(each, SAGA_MESSAGES)]
            failing = {each.body for each in turn.changes.dead}
            turn.forget_dead(self._failing)
            tx.write(turn.finish())
            if self.transport.transactional:
                self.transport.send(turn.outgoing)
        if not self.transport.transactional:
            self.transport.send(turn.outgoing)
        self._done(turn, allocation.left_over, len(messages))
        return failing

    def _allocate(self, tx: Transaction, turn: Turn, fill: bool) -> Allocation:
        """Serve every type with a waiting job, whoever made it wait: a hint says neither which nor why."""
        allocation = Allocation(
            turn, tx, self.strategies, self.options.batch, self._places, self.transport.reaches
        )
        names = {*self.to_do, *tx.types_with_work(turn.now), *turn.newly_waiting()} if fill else ()
        allocation.serve(names, fill=fill)
        return allocation

    def _done(self, turn: Turn, left_over: set[str], count: int) -> int:
        """After the commit: remember what is left, tell the site's code; how much was heard and said."""
        self.to_do = left_over
        if turn.sessions_to_end:
            self.store.end_sessions(turn.sessions_to_end)
        if self.publish and turn.events:
            self.publish(turn.events)
        return count + len(turn.outgoing)

    def _one_by_one(self) -> int:
        """After a batch that could not be written: each message alone, the one that cannot be is buried.

        No slots are given out meanwhile: what is wrong with that is no message's fault.
        """
        count = 0
        for _ in range(self.options.batch):
            try:
                done = self._lap(1, fill=False)
            except Exception as error:
                if not self.store.is_poison(error):
                    raise
                done = self._bury_received(error)
            if not done:
                break
            count += done
        return count

    def _bury_received(self, error: Exception) -> int:
        """Bury what the last lap received, unless another host has it by now."""
        failed = {each.token for each in self._received}
        with self.store.transaction() as tx:
            again = [each for each in self.transport.receive(SAGA, 1) if each.token in failed]
            self._write_dead(tx, (each.body for each in again), error)
            if self.transport.transactional:
                self.transport.ack(again)
        if not self.transport.transactional:
            self.transport.ack(again)
        return len(failed)

    def _write_dead(self, tx: Transaction, bodies: Iterable[str], error: Exception) -> None:
        turn = self.fresh_turn(tx)
        for body in bodies:
            turn.bury(body, error)
        tx.write(turn.finish())


def _decoded(
    deliveries: Sequence[Delivery],
) -> tuple[list[tuple[Message, Delivery]], list[tuple[Delivery, Exception]]]:
    messages: list[tuple[Message, Delivery]] = []
    undecodable: list[tuple[Delivery, Exception]] = []
    for delivery in deliveries:
        try:
            messages.append((decode(delivery.body, "saga"), delivery))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            undecodable.append((delivery, error))
    return messages, undecodable
