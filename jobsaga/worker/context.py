"""What a job sees of the world: its message, its past, its way to report, and the wish that it should end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload
from uuid import UUID

from asgiref.sync import sync_to_async

from jobsaga import payload
from jobsaga.clock import SystemClock
from jobsaga.conf import settings
from jobsaga.exceptions import InvalidMessage, IterationError
from jobsaga.messages import Message, StartJob
from jobsaga.options import JobOptions
from jobsaga.properties import Properties
from jobsaga.validation import Duration
from jobsaga.worker.artifacts import ARTIFACTS, NAME_LENGTH, reference_to
from jobsaga.worker.job_log import JobLog
from jobsaga.worker.progress import ProgressTracker
from jobsaga.worker.saved_state import SaveCheckpoint, SavedState, save_in_database
from jobsaga.worker.token import CancellationToken

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from jobsaga.worker.iteration import Iteration

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the process in which an attempt runs does for it.

    ``say`` hands on a message for the sagas; ``progress_due`` sees to it that a tracker is flushed in time;
    ``stirred`` tells whoever watches over it that an attempt got on.
    """

    say: Callable[[Message], None]
    progress_due: Callable[[ProgressTracker], None]
    stirred: Callable[[UUID], object] = lambda _: None
    now: Callable[[], datetime] = SystemClock().now
    monotonic: Callable[[], float] = SystemClock().monotonic
    save_checkpoint: SaveCheckpoint = save_in_database
    instance_properties: Properties = field(default_factory=Properties)


class JobContext(Generic[T]):
    """Handed to ``run``: everything a job may ask and say. It belongs to this attempt and this process."""

    def __init__(
        self,
        start: StartJob,
        job: T,
        options: JobOptions,
        host: Host,
        token: CancellationToken,
        progress: ProgressTracker,
        saved: SavedState,
        log: JobLog,
    ) -> None:
        self._start, self._job, self._options, self._host = start, job, options, host
        self._token, self._progress = token, progress
        self._begun = host.monotonic()
        self._saved, self._log = saved, log
        self._iterations, self._left = count(1), set[str]()
        self._artifacts = count(1)

    @property
    def job(self) -> T:
        """The message that was submitted."""
        return self._job

    @property
    def job_id(self) -> UUID:
        """The job's id, the same in all attempts."""
        return self._start.job_id

    @property
    def attempt_id(self) -> UUID:
        """The id of this attempt."""
        return self._start.attempt_id

    @property
    def retry_attempt(self) -> int:
        """How often the job was started again: 0 in the first attempt."""
        return self._start.retry_attempt

    @property
    def run(self) -> int:
        """Which run of a recurring job this is, counted from 1."""
        return self._start.run

    @property
    def last_progress_value(self) -> float | None:
        """How far the attempt before this one got; None if it said nothing."""
        return self._start.progress_value

    @property
    def last_progress_limit(self) -> float | None:
        """The limit that belonged to it."""
        return self._start.progress_limit

    @property
    def elapsed_time(self) -> timedelta:
        """How long this attempt has been running."""
        return timedelta(seconds=self._host.monotonic() - self._begun)

    @property
    def job_properties(self) -> Properties:
        """The properties the job was submitted with. Keys are found whatever their case."""
        return Properties(self._start.properties)

    @property
    def job_type_properties(self) -> Properties:
        """The properties of the job type, from the consumer's options."""
        return self._options.job_type_properties

    @property
    def instance_properties(self) -> Properties:
        """The properties of this worker: the consumer's options, and over them the worker's own."""
        return self._options.instance_properties.merged(self._host.instance_properties)

    @property
    def cancellation_token(self) -> CancellationToken:
        """Whether the job should end; it can be waited for."""
        return self._token

    def raise_if_cancellation_requested(self) -> None:
        """Raise JobCancellation if the job should end."""
        self._token.raise_if_cancellation_requested()

    def set_job_progress(self, value: float, limit: float | None = None, message: str = "") -> None:
        """Say how far the job is; ``limit`` is the value at its end (None: as it was).

        May be called as often as you like: few of the values are sent. Raises ValueError for what is no finite
        number.
        """
        self._progress.set(value, limit, message)

    def save_job_state(self, state: object) -> None:
        """Save what the next attempt should know, in your transaction: it is saved if that commits.

        Raises InvalidMessage for what cannot be stored; WrongTransaction in a transaction of another database
        only; AttemptSuperseded if another attempt owns the job now: your transaction is then set to roll back.
        """
        self._saved.save(state)

    async def asave_job_state(self, state: object) -> None:
        """``save_job_state`` for async jobs. It commits by itself.

        To commit it together with rows, call ``save_job_state`` in a function of your own that opens the
        transaction and writes them, and await that with ``sync_to_async``.
        """
        await sync_to_async(self.save_job_state)(state)

    @overload
    def try_get_job_state(self) -> Any: ...
    @overload
    def try_get_job_state(self, type_: type[S]) -> S | None: ...
    def try_get_job_state(self, type_: type[Any] | None = None) -> Any:
        """The state that the attempts before this one saved last; None if there is none.

        With a type (a dataclass, ...) an object of that type. Raises InvalidMessage if it is not one.
        """
        state = self._saved.given()
        return state if state is None or type_ is None else payload.decode(type_, state, "job state")

    def add_artifact(self, name: str, reference: object) -> None:
        """Leave something by reference: a URL, a path in the default storage, or the value of a FileField.

        It is there at once, and stays with the job's history; of one name the last counts. Raises InvalidMessage for
        anything else: what a job makes belongs into a storage, not into its row; and after the first 1000 of an
        attempt.
        """
        if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH:
            raise InvalidMessage("name", f"of an artifact must be a text of 1 to {NAME_LENGTH} characters")
        stored = reference_to(reference)
        if next(self._artifacts) > ARTIFACTS:
            raise InvalidMessage(
                "artifact",
                f"is one too many: an attempt may leave {ARTIFACTS}. Leave a folder, or a file that lists the others",
            )
        self._log.artifact(payload.safe_text(name), stored)

    def iterate(
        self,
        items: QuerySet[Any, S] | Sequence[S],
        chunk: int = 500,
        *,
        seconds: Duration = 1,
        name: str = "",
        progress: bool = True,
    ) -> Iteration[S]:
        """Walk a queryset (by primary key) or a sequence (by index), on from where the job's last attempt got.

        The items come in chunks of at most *chunk*, or as many as take *seconds*. Each chunk is one transaction
        of JOBSAGA's database: what the loop's body writes there is committed together with how far it is. With
        *progress* each chunk reports how many items are done. *name* tells several iterations of a job apart;
        without one they are numbered in the order in which they are made.

        Leave the loop early with ``stop()`` of what this returns; ``break`` undoes the chunk in hand. Raises
        IterationError for what cannot be walked so; AttemptSuperseded and JobCancellation come out of the loop.
        """
        from jobsaga.worker.iteration import Iteration, source_of

        return Iteration(
            source_of(items),
            name or str(next(self._iterations)),
            chunk,
            seconds,
            saved=self._saved,
            token=self._token,
            monotonic=self._host.monotonic,
            committed=self.set_job_progress if progress else None,
            left=self._left,
        )

    def track(self, items: Iterable[S], limit: float | None = None, message: str = "") -> Iterator[S]:
        """The same items, with the progress set after each, and JobCancellation raised when the job should end.

        *limit* is how many there are, if they have no length of their own.
        """
        total = limit if limit is not None or not isinstance(items, Sized) else len(items)
        for done, item in enumerate(items, 1):
            self.raise_if_cancellation_requested()
            yield item
            self.set_job_progress(done, total, message)

    def finish(self) -> None:
        """For the worker: ``run`` has returned. Raises IterationError if it left something undone."""
        if self._left:
            raise IterationError(
                f"The loop over iterate() (iteration {', '.join(sorted(self._left))}) was left in the middle of a "
                "chunk, by break or by an exception that was caught. What that chunk had written was undone, so "
                "the job is not done. To end the loop early, call stop() of what iterate() returns."
            )

    def log(self, message: str, *, status: str = "", **data: object) -> None:
        """Write a line into the job's own log, which is kept with its history; JOB_LOG_LINES of them per job.

        A message or data of more than 8192 characters loses its middle. Raises InvalidMessage for data that cannot be
        stored.
        """
        plain = payload.encode_value(data, "log", max_bytes=settings.MAX_MESSAGE_BYTES) if data else None
        self._log.write(str(message), str(status), plain)
