"""From what a user writes to the text that is stored, and from that to what it means."""

from __future__ import annotations

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule.builders import Builder
from jobsaga.schedule.cron import Cron, read_cron
from jobsaga.schedule.period import Period, read_period

_MACROS = {
    "@YEARLY": "0 0 0 1 1 *",
    "@ANNUALLY": "0 0 0 1 1 *",
    "@MONTHLY": "0 0 0 1 * *",
    "@WEEKLY": "0 0 0 * * SUN",
    "@DAILY": "0 0 0 * * *",
    "@MIDNIGHT": "0 0 0 * * *",
    "@HOURLY": "0 0 * * * *",
}


def as_cron(schedule: str | Builder) -> str:
    """The text of a schedule, as it is stored: six fields, with nothing in it that another program or another
    version might understand differently. What it gives, it gives again when it is asked with that.

    ``schedule`` is a cron text of six fields (seconds first) or five, "@every 5400s", or one of Every, Daily,
    Weekly and Monthly. Raises InvalidSchedule.
    """
    if isinstance(schedule, Builder):
        return schedule.cron
    if not isinstance(schedule, str):
        raise InvalidSchedule(
            f"A schedule is a cron text such as '0 0 3 * * *', or one of Every, Daily, Weekly and Monthly, not "
            f"{schedule!r}."
        )
    return read_schedule(schedule).text


def read_schedule(text: str) -> Cron | Period:
    """What a text means. Raises InvalidSchedule."""
    if text.lstrip().startswith("@"):
        macro = text.strip().upper()
        if macro in _MACROS:
            return read_cron(_MACROS[macro])
        return read_period(text)
    return read_cron(text)
