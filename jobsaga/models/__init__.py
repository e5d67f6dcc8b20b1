"""The rows. Everything that is true about a job is in these tables and nowhere else.

``sagas`` holds the three sagas, ``workers`` the instances, ``records`` what is only ever appended, and
the queue of the database transport, and the events that wait for the broker, and what is remembered of the requests
of other services.
"""

from jobsaga.models.records import (
    DeadLetter,
    EventOutbox,
    JobHistory,
    JobTypeHistory,
    RemoteRequest,
    TransportMessage,
)
from jobsaga.models.sagas import JobAttemptSaga, JobCheckpoint, JobSaga, JobTypeSaga
from jobsaga.models.workers import JobInstance, JobTypeInstance

__all__ = [
    "DeadLetter", "EventOutbox", "JobAttemptSaga", "JobCheckpoint", "JobHistory", "JobInstance", "JobSaga",
    "JobTypeHistory", "JobTypeInstance", "JobTypeSaga", "RemoteRequest", "TransportMessage",
]  # fmt: skip
