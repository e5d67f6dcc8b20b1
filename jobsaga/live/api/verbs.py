"""What can be asked of job types and workers: pause, resume, other limits for a while, drain.

A saga host does it as soon as it has heard of it, so the answer is 202 and says what was asked. Permissions are those
of the pages; a drain has the permission for limits, for that is what it is: no more jobs there. A token for some job
types steers these types alone, and only workers that run nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase

from jobsaga.client import (
    drain_instance,
    override_job_limit,
    pause_job_type,
    resume_job_type,
    revert_job_limit,
    undrain_instance,
)
from jobsaga.conf import settings
from jobsaga.exceptions import InstanceNotFound, InvalidMessage, UnknownJobType
from jobsaga.live import access, scope
from jobsaga.live.api import records
from jobsaga.live.api.answers import body, endpoint, json
from jobsaga.live.api.refused import Refused
from jobsaga.live.limits import LIMIT, PAUSE
from jobsaga.models import JobTypeInstance

LARGEST_BODY = 10_000
T = TypeVar("T", bound=records.Why)
#: What does it: given a name or an id, what was sent, and reason and by.
Do = Callable[..., None]


def _of_a_type(verb: str, permission: str, kind: type[T], do: Do, said: str) -> Callable[..., Any]:
    @endpoint(permission, ("POST",))
    def steer(request: HttpRequest, name: str) -> HttpResponseBase:
        wanted = body(request, kind, LARGEST_BODY)
        if not scope.knows_type(name):
            raise Refused(404, "no-such-type", f"The token is not for jobs of {name}.")
        try:
            do(name, wanted, **_who(request, wanted))
        except UnknownJobType as error:
            raise Refused(404, "no-such-type", str(error)) from None
        except InvalidMessage as error:
            raise Refused(422, "invalid-limit", str(error)) from None
        return json(records.Asked(asked=verb, of=name), 202)

    steer.__doc__ = said
    return steer


def _of_a_worker(verb: str, do: Do, said: str) -> Callable[..., Any]:
    @endpoint(LIMIT, ("POST",))
    def steer(request: HttpRequest, instance_id: UUID) -> HttpResponseBase:
        wanted = body(request, records.Why, LARGEST_BODY)
        announced = JobTypeInstance.objects.using(settings.DATABASE).filter(instance_id=instance_id)
        if not scope.knows_types(announced.values_list("job_type", flat=True)):
            raise Refused(403, "not-permitted", "The token is not for all job types that this worker runs.")
        try:
            do(instance_id, **_who(request, wanted))
        except InstanceNotFound as error:
            raise Refused(404, "no-such-worker", str(error)) from None
        return json(records.Asked(asked=verb, of=str(instance_id)), 202)

    steer.__doc__ = said
    return steer


def _who(request: HttpRequest, wanted: records.Why) -> dict[str, str]:
    return {
        "reason": wanted.reason.strip()[: access.LONGEST_REASON],
        "by": access.name_of(request),
    }


def _limit(name: str, wanted: records.Limits, **who: str) -> None:
    override_job_limit(
        name,
        wanted.concurrent_job_limit,
        global_concurrent_job_limit=wanted.global_concurrent_job_limit,
        duration=timedelta(seconds=wanted.seconds),
        **who,
    )


pause = _of_a_type(
    "pause", PAUSE, records.Why, lambda name, _, **who: pause_job_type(name, **who),
    "Start no more jobs of a type; those that run go on.",
)  # fmt: skip
resume = _of_a_type(
    "resume", PAUSE, records.Why, lambda name, _, **who: resume_job_type(name, **who),
    "Start jobs of a paused type again.",
)  # fmt: skip
limit = _of_a_type("limit", LIMIT, records.Limits, _limit, "Other limits for a job type, for a while.")
revert = _of_a_type(
    "revert", LIMIT, records.Why, lambda name, _, **who: revert_job_limit(name, **who),
    "End the override of a type's limits now.",
)  # fmt: skip
drain = _of_a_worker("drain", drain_instance, "Give a worker no more jobs; those that it runs go on.")
undrain = _of_a_worker("undrain", undrain_instance, "Give a drained worker jobs again.")
