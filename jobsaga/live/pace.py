"""How fast a job is and when it will be done, as honestly as its samples allow. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils import formats
from django.utils.translation import gettext as _

from jobsaga.live.wording import coarse, number
from jobsaga.sagas import samples
from jobsaga.sagas.states import JobStates

#: Fewer samples, or over a shorter time, allow no estimate.
FEWEST, SHORTEST = 3, timedelta(seconds=10)


class Pace(NamedTuple):
    """What can be said: a rate per second, when the end will be, and how long the job was looked at for that."""

    rate: float | None
    end: datetime | None
    basis: timedelta


def pace(job: Any, now: datetime) -> Pace | None:
    """Of a job that runs; None while nothing can be said."""
    seen = job.progress_samples or []
    if job.state != JobStates.STARTED.value or not job.progress_sequence or len(seen) < FEWEST:
        return None
    basis = timedelta(seconds=seen[-1][0] - seen[0][0])
    if basis < SHORTEST:
        return None
    return Pace(samples.rate(seen), samples.eta(seen, job.progress_limit, now), basis)


def left(job: Any, now: datetime) -> str:
    """``about 5 min left``; nothing where that is not known."""
    known = pace(job, now)
    if known is None or known.end is None or known.end <= now:
        return ""
    return _("about %(span)s left") % {"span": coarse(known.end - now)}


def speed(rate: float) -> str:
    """A rate as people read it: per second, or per minute or hour where that is less than one."""
    for factor, unit in ((1, "s"), (60, "min"), (3600, "h")):
        if rate * factor >= 1:
            return _("%(count)s per %(unit)s") % {"count": number(round(rate * factor, 1)), "unit": unit}
    return _("%(count)s per day") % {"count": formats.number_format(round(rate * 86400, 1), 1)}
