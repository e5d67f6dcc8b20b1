"""The rows. Everything that is true about a job is in these tables and nowhere else.

``sagas`` holds the three sagas, ``workers`` the instances, ``records`` what is only ever appended, and
the queue of the database transport.
"""

from jobsaga.models.records import DeadLetter, JobHistory, JobTypeHistory, TransportMessage
from jobsaga.models.sagas import JobAttemptSaga, JobCheckpoint, JobSaga, JobTypeSaga
from jobsaga.models.workers import JobInstance, JobTypeInstance

__all__ = [
    "DeadLetter", "JobAttemptSaga", "JobCheckpoint", "JobHistory", "JobInstance", "JobSaga",
    "JobTypeHistory", "JobTypeInstance", "JobTypeSaga", "TransportMessage",
]  # fmt: skip
