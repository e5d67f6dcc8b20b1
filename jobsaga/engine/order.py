"""What a message implies that has not been heard yet.

Where a broker deals messages out to several saga hosts, the end of a short attempt may overtake its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jobsaga.messages import JobAttemptCompleted, JobAttemptFaulted, JobAttemptStarted, Message
from jobsaga.sagas.states import AttemptStates


def implied(message: Message, attempts: Mapping[UUID, Any]) -> list[JobAttemptStarted]:
    """What must have come before *message*, given the attempts as they are: user code ran, so it was started."""
    if not isinstance(message, JobAttemptCompleted | JobAttemptFaulted) or not message.duration:
        return []
    attempt = attempts.get(message.attempt_id)
    if attempt is None or attempt.state is not AttemptStates.STARTING:
        return []
    began = message.timestamp - message.duration
    return [JobAttemptStarted(job_id=message.job_id, attempt_id=message.attempt_id, timestamp=began)]
