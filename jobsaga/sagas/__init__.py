"""The rules: three state machines as tables, their states, records and retry policies. No Django here."""

from jobsaga.sagas.attempt import ATTEMPT
from jobsaga.sagas.job import JOB
from jobsaga.sagas.job_type import JOB_TYPE
from jobsaga.sagas.machine import Env, Machine, Note, On, Publish, Send
from jobsaga.sagas.records import Attempt, Checkpoint, Job, JobType, TypeInstance
from jobsaga.sagas.retry import Retry
from jobsaga.sagas.states import AttemptStates, JobStates, JobTypeStates

__all__ = [
    "ATTEMPT", "JOB", "JOB_TYPE", "Attempt", "AttemptStates", "Checkpoint", "Env", "Job", "JobStates", "JobType",
    "JobTypeStates", "Machine", "Note", "On", "Publish", "Retry", "Send", "TypeInstance",
]  # fmt: skip
