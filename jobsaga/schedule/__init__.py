"""When a recurring job runs: a cron text, or a true period, in a time zone.

A schedule is stored as text. :func:`as_cron` checks what the user wrote and gives the text that is stored;
:func:`next_after` reads it. Everything that cannot work is refused by :func:`as_cron`, in the face of the one
who wrote it, so what is stored can be evaluated without a surprise.

The way of an evaluation: ``fields`` and ``days`` read the parts of a text, ``cron`` puts them together and
refuses what makes no sense, ``wall`` finds the next time by the clock on the wall, ``zones`` knows when that
clock is set forward or back, and ``timeline`` makes instants of it all. ``builders`` writes cron texts, and
``reading`` says in plain words what one means.

Nothing here reads a clock: "now" is always handed in.
"""

from jobsaga.schedule.builders import Builder, Daily, Every, Monthly, Weekly
from jobsaga.schedule.canonical import as_cron
from jobsaga.schedule.reading import describe
from jobsaga.schedule.timeline import latest_until, next_after, occurrences
from jobsaga.schedule.zones import check_time_zone

__all__ = [
    "Builder",
    "Daily",
    "Every",
    "Monthly",
    "Weekly",
    "as_cron",
    "check_time_zone",
    "describe",
    "latest_until",
    "next_after",
    "occurrences",
]
