"""How much an attempt may write into its job's log, so that all attempts of a run together stay within the bound.

Asked when a worker takes an attempt that is not its run's first: of the lines that the others wrote the newest are
kept, half of what may be there at most, and the rest is the new attempt's. So a job that is tried for ever has a log
of one size, and the last attempt is always in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from operator import or_
from uuid import UUID

import msgspec
from django.db.models import Count, Q, QuerySet

from jobsaga.conf import settings
from jobsaga.messages import StartJob
from jobsaga.models import JobAttemptSaga, JobHistory


def with_room(alias: str, starts: Sequence[StartJob]) -> list[StartJob]:
    """These, and each knows how many lines it may write; in the caller's transaction room is made for them.

    Attempts that are their run's first cost nothing; the others one query together, and one for each job whose log
    is more than half full.
    """
    again = [start for start in starts if start.follows_another]
    if not again:
        return list(starts)
    most = settings.JOB_LOG_LINES
    lines = _lines(alias, again)
    counted = dict(lines.order_by().values_list("job_id").annotate(Count("id")))
    room: dict[UUID, int] = {}
    for start in again:
        count = counted.get(start.job_id, 0)
        room[start.attempt_id] = most - min(count, most // 2)
        if count > most // 2:
            _thin(alias, lines.filter(job_id=start.job_id), most // 2)
    return [
        msgspec.structs.replace(start, log_lines=room.get(start.attempt_id, start.log_lines))
        for start in starts
    ]


def _lines(alias: str, starts: Sequence[StartJob]) -> QuerySet[JobHistory]:
    """What the attempts of the same runs have written."""
    jobs: dict[int, set[UUID]] = defaultdict(set)
    for start in starts:
        jobs[start.run].add(start.job_id)
    runs = reduce(or_, (Q(run=run, job_id__in=ids) for run, ids in jobs.items()))
    attempts = JobAttemptSaga.objects.using(alias).filter(runs).values("id")
    return JobHistory.objects.using(alias).filter(
        job_id__in=set().union(*jobs.values()), sequence__isnull=False, attempt_id__in=attempts
    )


def _thin(alias: str, lines: QuerySet[JobHistory], keep: int) -> None:
    oldest = list(lines.order_by("-id").values_list("id", flat=True)[keep:])
    JobHistory.objects.using(alias).filter(id__in=oldest).delete()
