"""Why a job waits: one sentence from what the rows say, and the facts behind it.

``explain_job`` is asked by a person, ``JobState.waiting_for`` is the same sentence, and so is what commands and
pages show. The rules are in ``rules`` (a job in each state) and ``slots`` (a job that is due and has no slot); what
they read is in ``facts``.
"""

from __future__ import annotations

from uuid import UUID

from jobsaga.client.commands import checked_id, site, twin
from jobsaga.client.explain.explanation import Explanation, Holder


def explain_job(job_id: UUID) -> Explanation:
    """Why the job waits, or what it does instead: ``sentence``, and the facts it is made of.

    A few short statements, however many jobs wait. Raises JobNotFound.
    """
    return site().explain(checked_id(job_id))


aexplain_job = twin(explain_job)

__all__ = ["Explanation", "Holder", "aexplain_job", "explain_job"]
