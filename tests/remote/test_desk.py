"""What a request does, whatever carries it: each verb, doubled, late, wrong, in the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import override_settings

from jobsaga import finalize_job, get_job_state, run_recurring_job, submit_job
from jobsaga.client import add_or_update_recurring_job
from jobsaga.desk import desk as desk_module
from jobsaga.desk import verbs
from jobsaga.models import JobSaga, RemoteRequest, TransportMessage
from jobsaga.remote import contract
from jobsaga.remote.contract import Fault, JobSubmissionAccepted
from jobsaga.transport.rabbitmq.inbox import Held
from jobsaga.transport.rabbitmq.letters import is_over, letter
from jobsaga.transport.rabbitmq.requests import Asked, Hopeless, Later
from tests.client.acts import act
from tests.client.conftest import Site
from tests.client.situations import SITUATIONS
from tests.client.test_commands import ANSWERS
from tests.faults.ledger import ALIAS
from tests.remote.conftest import GIVE, TYPE, Counter, history, letters

pytestmark = pytest.mark.django_db
LATER = datetime(2126, 1, 1, tzinfo=UTC)


def jobs() -> int:
    return JobSaga.objects.using(ALIAS).count()


class TestSubmit:
    def test_the_job_exists(self, counter: Counter) -> None:
        request = contract.SubmitJob(
            job_type=TYPE, message=GIVE, properties={"Tier": "gold"}, priority=3, actor="billing"
        )
        request_id = uuid4()
        answer = counter.ask(request, request_id)
        assert answer == JobSubmissionAccepted(job_id=request_id), "without an id of its own"
        state = get_job_state(request_id)
        assert (state.current_state, state.job_type, state.properties) == (
            "WaitingForSlot",
            TYPE,
            {"Tier": "gold"},
        )
        row = JobSaga.objects.using(ALIAS).get(pk=request_id)
        assert (row.message, row.priority) == (GIVE, 3)
        assert history(request_id) == [("JobSubmitted", "remote:billing")]

    def test_again_with_the_same_id(self, counter: Counter) -> None:
        """The same request, and another one for the same job."""
        job_id, request_id = uuid4(), uuid4()
        request = contract.SubmitJob(job_type=TYPE, message=GIVE, job_id=job_id)
        answers = [counter.ask(request, each) for each in (request_id, request_id, uuid4())]
        assert answers == [JobSubmissionAccepted(job_id=job_id)] * 3
        assert jobs() == 1

    def test_a_double_does_not_bring_a_finalized_job_back(self, counter: Counter, world: Site) -> None:
        job_id, request_id = uuid4(), uuid4()
        request = contract.SubmitJob(job_type=TYPE, message=GIVE, job_id=job_id)
        counter.ask(request, request_id)
        counter.ask(contract.CancelJob(job_id=job_id))
        finalize_job(job_id)
        assert counter.ask(request, request_id) == JobSubmissionAccepted(job_id=job_id)
        assert jobs() == 0

    def test_without_anybody_who_waits(self, counter: Counter) -> None:
        request = contract.SubmitJob(job_type=TYPE, message=GIVE)
        assert counter.ask(request, reply_to="") is None
        assert jobs() == 1
        assert letters() == []

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"job_type": "jobsapp.ActInProces"}, "UnknownJobType", "job_type"),
            ({"message": {"what": 3}}, "InvalidMessage", "message.what"),
            ({"message": {}}, "InvalidMessage", "message.what"),
            ({"message": {**GIVE, "how": 1}}, "InvalidMessage", "message.how"),
            ({"message": {"what": "a\0b"}}, "InvalidMessage", "message.what"),
            ({"message": {"what": "x" * 300_000}}, "InvalidMessage", "message"),
            (
                {"properties": {"deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}},
                "InvalidMessage",
                "",
            ),
            ({"properties": {"large": 2**63}}, "InvalidMessage", "properties.large"),
            ({"message_version": 2}, "InvalidMessage", "message"),
            ({"job_id": UUID(int=0)}, "InvalidMessage", "job_id"),
            ({"actor": "a\0"}, "InvalidMessage", "actor"),
        ],
    )
    def test_what_the_site_would_not_take_from_its_own_code(
        self, counter: Counter, changes: dict[str, Any], code: str, field: str
    ) -> None:
        given = {"job_type": TYPE, "message": GIVE, **changes}
        request_id = uuid4()
        fault = counter.ask(contract.SubmitJob(**given), request_id)
        assert isinstance(fault, Fault)
        assert (fault.code, fault.faulted_message_id) == (code, request_id)
        assert fault.field.startswith(field)
        assert jobs() == 0
        assert letters() == [], "who asked has been told"

    def test_the_near_names_of_an_unknown_type(self, counter: Counter) -> None:
        fault = counter.ask(contract.SubmitJob(job_type="jobsapp.actinproces"))
        assert fault.near[0] == TYPE
        assert TYPE in fault.message

    def test_a_refused_request_is_tried_anew_when_it_comes_again(self, counter: Counter) -> None:
        request, request_id = contract.CancelJob(job_id=uuid4()), uuid4()
        assert counter.ask(request, request_id).code == "JobNotFound"
        counter.submit(job_id=request.job_id)
        assert counter.ask(request, request_id).current_state == "Canceled"

    def test_so_is_one_that_changed_nothing(self, counter: Counter) -> None:
        """Who asks again because the answer was lost must not take it for done."""
        request, request_id = contract.RetryJob(job_id=counter.submit()), uuid4()
        answers = [counter.ask(request, request_id) for _ in range(2)]
        assert [each.refused for each in answers] == ["it is runnable already"] * 2
        counter.ask(contract.CancelJob(job_id=request.job_id))
        assert counter.ask(request, request_id).current_state == "WaitingForSlot"
        assert counter.ask(request, request_id).remark == verbs.AGAIN


class TestSchedule:
    def request(self, start: datetime, job_id: UUID) -> contract.ScheduleJob:
        return contract.ScheduleJob(job_type=TYPE, message=GIVE, job_id=job_id, start=start)

    def start_of(self, job_id: UUID) -> datetime | None:
        return get_job_state(job_id).next_start_date

    def test_it_waits_for_its_time(self, counter: Counter) -> None:
        job_id = uuid4()
        assert counter.ask(self.request(LATER, job_id)) == JobSubmissionAccepted(job_id=job_id)
        assert (get_job_state(job_id).current_state, self.start_of(job_id)) == ("WaitingToStart", LATER)

    def test_a_late_double_does_not_undo_another_time(self, counter: Counter) -> None:
        job_id, first = uuid4(), uuid4()
        counter.ask(self.request(LATER, job_id), first)
        counter.ask(self.request(LATER + timedelta(days=1), job_id))
        counter.ask(self.request(LATER, job_id), first)
        assert self.start_of(job_id) == LATER + timedelta(days=1)

    def test_one_that_has_started_keeps_its_time(self, counter: Counter) -> None:
        job_id = counter.submit()
        fault = counter.ask(self.request(LATER, job_id))
        assert (fault.code, fault.field) == ("JobHasStarted", "job_id")

    def test_the_answer_to_a_double_after_it_started_is_no_fault(self, counter: Counter, world: Site) -> None:
        job_id, request_id = uuid4(), uuid4()
        request = self.request(world.clock.now() - timedelta(hours=1), job_id)
        assert counter.ask(request, request_id) == counter.ask(request, request_id)


STEER = {
    "cancel": contract.CancelJob,
    "retry": contract.RetryJob,
    "run": contract.RunJob,
    "finalize": contract.FinalizeJob,
}


@pytest.mark.parametrize("verb", STEER)
@pytest.mark.parametrize("state", SITUATIONS)
def test_a_verb_does_what_it_does_at_home_and_once(
    world: Site, counter: Counter, state: str, verb: str
) -> None:
    job_id, request_id = SITUATIONS[state](world), uuid4()
    request = STEER[verb](job_id=job_id, actor="ops")
    answer = counter.ask(request, request_id)
    assert (answer.current_state, answer.refused) == ANSWERS[state][verb]
    before = history(job_id), TransportMessage.objects.using(ALIAS).count()
    again = counter.ask(request, request_id)
    assert (again.current_state, again.refused) == ANSWERS[state][verb]
    assert (again.remark == verbs.AGAIN) is not bool(answer.refused), "done, or told again why not"
    assert before == (history(job_id), TransportMessage.objects.using(ALIAS).count())


def test_a_doubled_retry_does_not_retry_what_has_failed_again(world: Site, counter: Counter) -> None:
    job_id, request_id = SITUATIONS["Faulted"](world), uuid4()
    counter.ask(contract.RetryJob(job_id=job_id), request_id)
    world.lap()
    (start,) = world.workers[0].receive()
    world.workers[0].started(start)
    world.workers[0].fault(start, "again")
    world.lap()
    assert counter.ask(contract.RetryJob(job_id=job_id), request_id).current_state == "Faulted"
    assert counter.ask(contract.RetryJob(job_id=job_id)).current_state == "WaitingForSlot"


def test_a_doubled_run_of_a_recurring_job_makes_one_run(world: Site, counter: Counter) -> None:
    job_id = add_or_update_recurring_job("nightly", act(), "0 0 3 * * *")
    request_id, request = uuid4(), contract.RunJob(job_id=job_id)
    assert counter.ask(request, request_id).current_state == "WaitingForSlot"
    worker, start = world.start()
    worker.complete(start)
    world.lap()
    after = counter.ask(request, request_id)
    assert (after.current_state, after.run) == ("WaitingToStart", 1)
    late = counter.ask(contract.RunJob(job_id=job_id, run=1))
    assert (late.current_state, late.refused) == ("WaitingToStart", "it is about another run")
    assert run_recurring_job(TYPE, "nightly").current_state == "WaitingForSlot"


@pytest.mark.parametrize("verb", STEER)
def test_a_job_that_is_not_there(counter: Counter, verb: str) -> None:
    fault = counter.ask(STEER[verb](job_id=UUID(int=5)))
    assert (fault.code, fault.field) == ("JobNotFound", "job_id")


def test_how_a_job_is(world: Site, counter: Counter) -> None:
    job_id = SITUATIONS["Faulted"](world)
    answer, at_home = counter.ask(contract.GetJobState(job_id=job_id)), get_job_state(job_id)
    assert (answer.current_state, answer.faulted) == ("Faulted", at_home.faulted)
    assert (answer.fault.type, answer.fault.message) == (at_home.fault["type"], "out of paper")  # type: ignore[index]
    assert answer.duration == at_home.duration.total_seconds()  # type: ignore[union-attr]
    assert answer.is_finished
    assert counter.ask(contract.GetJobState(job_id=UUID(int=5))).current_state == "NotFound"
    assert not RemoteRequest.objects.using(ALIAS).exists(), "a question is not remembered"


def test_results_and_saved_state_come_as_they_are(world: Site, counter: Counter) -> None:
    answer = counter.ask(contract.GetJobState(job_id=SITUATIONS["Completed"](world)))
    assert (answer.current_state, answer.result) == ("Completed", {"n": 1})


class TestWhatIsWrong:
    def test_nobody_waits_for_the_fault(self, counter: Counter) -> None:
        assert counter.ask(contract.SubmitJob(job_type="no.Such"), reply_to="") is None
        ((endpoint, reason),) = letters()
        assert endpoint == "requests"
        assert reason.startswith("UnknownJobType: No job consumer is registered for 'no.Such'")

    def test_an_answer_into_the_sites_own_queues(self, counter: Counter) -> None:
        assert counter.say(b"nonsense", reply_to="ours.v1.saga") is None
        assert [endpoint for endpoint, _ in letters()] == ["requests"]

    def test_what_has_no_id_is_answered_by_the_properties(self, counter: Counter) -> None:
        answer = counter.desk.handle(Asked(b"{}", "me", "call-7"))
        assert answer is not None
        assert (answer.kind, answer.correlation_id) == ("Fault", "call-7")

    def test_the_correlation_is_the_requests_id_if_there_is_no_other(self, counter: Counter) -> None:
        answer = counter.desk.handle(
            Asked(contract.encode(contract.GetJobState(job_id=uuid4()), UUID(int=9)), "me")
        )
        assert answer is not None
        assert answer.correlation_id == str(UUID(int=9))

    @override_settings(JOBSAGA={"DATABASE": ALIAS, "MAX_MESSAGE_BYTES": 1000})
    def test_too_large(self, counter: Counter) -> None:
        fault = counter.say(b'"' + b"x" * 4000 + b'"')
        assert fault.code == "TooLarge"
        assert counter.say(b'"' + b"x" * 4000 + b'"', reply_to="") is None
        assert [reason.split(":")[0] for _, reason in letters()] == ["TooLarge"]

    def test_what_nobody_foresaw(self, counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told without its details, and kept with them."""

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(verbs, "carry_out", broken)
        fault = counter.ask(contract.CancelJob(job_id=uuid4()))
        assert fault.code == "InternalError"
        assert "secret" not in json.dumps(fault.message)
        from jobsaga.models import DeadLetter

        assert "ZeroDivisionError: secret" in DeadLetter.objects.using(ALIAS).get().traceback
        assert not RemoteRequest.objects.using(ALIAS).exists()


def test_what_is_old_is_forgotten(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "REMEMBERED", timedelta(0))
    first, second = uuid4(), uuid4()
    counter.ask(contract.SubmitJob(job_type=TYPE, message=GIVE), first)
    Counter().ask(contract.SubmitJob(job_type=TYPE, message=GIVE), second)
    assert set(RemoteRequest.objects.using(ALIAS).values_list("id", flat=True)) == {second}


def test_however_many_come_what_is_old_is_forgotten(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "FORGET_AT_ONCE", 3)
    rows = RemoteRequest.objects.using(ALIAS)
    rows.bulk_create([RemoteRequest(id=uuid4(), at=LATER - timedelta(days=40_000)) for _ in range(8)])
    for _ in range(4):
        counter.submit()
    assert rows.count() == 4


@pytest.mark.postgresql
@pytest.mark.mariadb
@pytest.mark.django_db(transaction=True)
class TestInTheWay:
    """Somebody's transaction holds the row: nobody waits for it."""

    def test_a_waiting_job_is_left_to_the_sagas(self, world: Site, counter: Counter) -> None:
        job_id, request_id = submit_job(act()), uuid4()
        with world.hold_job(job_id):
            answer = counter.ask(contract.CancelJob(job_id=job_id, reason="enough"), request_id)
            assert (answer.current_state, answer.refused) == ("WaitingForSlot", "")
            assert "as soon as that has ended" in answer.remark
        world.lap()
        assert get_job_state(job_id).current_state == "Canceled"

    def test_another_time_is_tried_again_later(self, world: Site, counter: Counter) -> None:
        job_id = SITUATIONS["WaitingToStart"](world)
        request = contract.ScheduleJob(job_type=TYPE, message=GIVE, job_id=job_id, start=LATER)
        with world.hold_job(job_id), pytest.raises(Later):
            counter.ask(request, UUID(int=3))
        counter.ask(request, UUID(int=3))
        assert get_job_state(job_id).next_start_date == LATER

    def test_not_for_ever(self, world: Site, counter: Counter) -> None:
        job_id = SITUATIONS["WaitingToStart"](world)
        request = contract.ScheduleJob(job_type=TYPE, message=GIVE, job_id=job_id, start=LATER)
        with world.hold_job(job_id):
            fault = counter.ask(request, tries=desk_module.PATIENCE)
        assert (fault.code, fault.field) == ("JobBusy", "job_id")
        assert get_job_state(job_id).next_start_date != LATER


def test_what_cannot_even_be_refused_is_given_up(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(counter.desk, "_handle", broken)
    with pytest.raises(Later):
        counter.say(b"")
    with pytest.raises(Hopeless):
        counter.say(b"", tries=desk_module.PATIENCE)


class TestGivenUp:
    """What RabbitMQ moved to the dead queue, by its own note of why."""

    def held(self, queue: str, reason: str) -> Held:
        return Held(b"{}", {"x-death": [{"queue": queue, "reason": reason}]})

    def test_a_request_that_ended_its_hosts_is_a_letter_of_the_requests(self) -> None:
        held = self.held("shop.v1.requests", "delivery_limit")
        assert (letter(held, LATER, 1000).endpoint, is_over(held)) == ("requests", False)
        assert letter(self.held("shop.v1.saga", "delivery_limit"), LATER, 1000).endpoint == "saga"

    def test_only_a_request_may_expire_in_silence(self) -> None:
        assert is_over(self.held("shop.v1.requests", "expired"))
        assert not is_over(self.held("shop.v1.saga", "expired"))

    def test_what_the_site_could_not_even_refuse(self) -> None:
        held = self.held("shop.v1.requests", "rejected")
        assert (letter(held, LATER, 1000).endpoint, is_over(held)) == ("requests", False)
        assert "could neither handle it nor refuse it" in letter(held, LATER, 1000).reason

    @pytest.mark.parametrize("headers", [{}, {"x-death": None}, {"x-death": []}, {"x-death": ["odd"]}])
    def test_without_a_note(self, headers: dict[str, Any]) -> None:
        held = Held(b"{}", headers)
        assert (letter(held, LATER, 1000).endpoint, is_over(held)) == ("saga", False)
