"""Django signals for the life of a job, for sites that want to react to it in their own code.

They are sent after the commit that made them true, by the process that decided it: a worker's saga host, or
the client for what a client decides at once. A receiver that raises is logged and changes nothing. They are
news, not work to be relied on: a process that dies right after the commit sends none.

Every signal carries ``sender`` (the name of the job type, a str) and

    job_id: UUID, message: dict (as stored), properties: Properties

and in addition

    job_submitted   nothing more
    job_started     attempt_id: UUID, retry_attempt: int, instance_properties: Properties
    job_completed   attempt_id: UUID, instance_properties: Properties, result: object, duration: timedelta
    job_faulted     attempt_id: UUID, instance_properties: Properties, fault: dict, duration: timedelta | None
    job_canceled    attempt_id: UUID | None, instance_properties: Properties, reason: str,
                    duration: timedelta | None
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.dispatch import Signal


class JobSignal(Signal):
    """A signal whose senders are names.

    Django tells senders apart by identity, and a name that was read from the database is never the object that
    ``connect`` was given: so each name is one object here.
    """

    def connect(
        self,
        receiver: Callable[..., Any],
        sender: object | None = None,
        weak: bool = True,
        dispatch_uid: Any = None,
    ) -> None:
        """As Django's; *sender* is the name of a job type, or None for all."""
        super().connect(receiver, _one_object(sender), weak, dispatch_uid)

    def disconnect(
        self,
        receiver: Callable[..., Any] | None = None,
        sender: object | None = None,
        dispatch_uid: Any = None,
    ) -> bool:
        """As Django's."""
        return bool(super().disconnect(receiver, _one_object(sender), dispatch_uid))

    def has_listeners(self, sender: Any = None) -> bool:
        """As Django's."""
        return super().has_listeners(_one_object(sender))

    def send(self, sender: Any, **named: Any) -> list[tuple[Callable[..., Any], Any]]:
        """As Django's."""
        return super().send(_one_object(sender), **named)

    def send_robust(self, sender: Any, **named: Any) -> list[tuple[Callable[..., Any], Any]]:
        """As Django's."""
        return super().send_robust(_one_object(sender), **named)


_names: dict[str, str] = {}


def _one_object(sender: object) -> Any:
    return _names.setdefault(sender, sender) if isinstance(sender, str) else sender


job_submitted = JobSignal()
job_started = JobSignal()
job_completed = JobSignal()
job_faulted = JobSignal()
job_canceled = JobSignal()
