"""How states, times and numbers are said on the pages. Pure: what it needs to know is handed in, but for the
reader's language.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobsaga.sagas.states import AttemptStates, JobStates, State

#: Seconds and name of a unit, and of the next smaller one.
UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
SHORT = 8
#: A time as JSON has it.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
JUST_NOW = timedelta(seconds=1)


class Look(NamedTuple):
    """A state as people read it: a word, a sign, and a tone (the colour; never alone)."""

    word: str
    icon: str
    tone: str

    @property
    def said(self) -> str:
        """The word in the reader's language."""
        return _(self.word)


JOB_LOOKS: dict[JobStates, Look] = {
    JobStates.WAITING_TO_START: Look(gettext_noop("Scheduled"), "clock", "later"),
    JobStates.WAITING_FOR_SLOT: Look(gettext_noop("Waiting"), "queue", "wait"),
    JobStates.STARTING_JOB_ATTEMPT: Look(gettext_noop("Starting"), "start", "run"),
    JobStates.STARTED: Look(gettext_noop("Running"), "run", "run"),
    JobStates.WAITING_TO_RETRY: Look(gettext_noop("Retrying"), "retry", "warn"),
    JobStates.CANCELLATION_PENDING: Look(gettext_noop("Canceling"), "stop", "warn"),
    JobStates.COMPLETED: Look(gettext_noop("Completed"), "done", "good"),
    JobStates.FAULTED: Look(gettext_noop("Faulted"), "fault", "bad"),
    JobStates.CANCELED: Look(gettext_noop("Canceled"), "cancel", "off"),
}
ATTEMPT_LOOKS: dict[AttemptStates, Look] = {
    AttemptStates.STARTING: Look(gettext_noop("Starting"), "start", "run"),
    AttemptStates.RUNNING: Look(gettext_noop("Running"), "run", "run"),
    AttemptStates.CHECKING_STATUS: Look(gettext_noop("Checking"), "clock", "warn"),
    AttemptStates.SUSPECT: Look(gettext_noop("Suspect"), "alert", "bad"),
    AttemptStates.FAULTED: Look(gettext_noop("Faulted"), "fault", "bad"),
    AttemptStates.FINAL: Look(gettext_noop("Ended"), "done", "off"),
}
OUTCOME_LOOKS = {
    "completed": Look(gettext_noop("Completed"), "done", "good"),
    "faulted": Look(gettext_noop("Faulted"), "fault", "bad"),
    "canceled": Look(gettext_noop("Canceled"), "cancel", "off"),
}


def look(state: State | int) -> Look:
    """How a job's state is shown."""
    known = JobStates(state)
    return JOB_LOOKS.get(known) or Look(known.label, "dot", "off")


def attempt_look(state: int, outcome: str) -> Look:
    """How an attempt is shown: by its outcome, once it has one."""
    known = AttemptStates(state)
    return (
        OUTCOME_LOOKS.get(outcome.casefold()) or ATTEMPT_LOOKS.get(known) or Look(known.label, "dot", "off")
    )


def span(duration: timedelta | None) -> str:
    """A duration: 25 ms, 12.5 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. Never a negative one."""
    if duration is None:
        return ""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{formats.number_format(round(seconds, 1), 1)} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    size, name, small, small_name = next(each for each in UNITS if seconds >= each[0])
    rest = int(seconds % size // small)
    return f"{int(seconds // size)} {name}" + (f" {rest} {small_name}" if rest else "")


def coarse(duration: timedelta) -> str:
    """The same in one unit: 12 s, 3 min, 2 h, 4 d."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 60:
        return f"{seconds:.0f} s"
    size, name = next((each[0], each[1]) for each in UNITS if seconds >= each[0])
    return f"{int(seconds // size)} {name}"


def ago(at: datetime, now: datetime) -> str:
    """``3 min ago``, ``in 2 h``, ``now``."""
    passed = now - at
    if abs(passed) < JUST_NOW:
        return _("now")
    if passed > timedelta(0):
        return _("%(span)s ago") % {"span": coarse(passed)}
    return _("in %(span)s") % {"span": coarse(-passed)}


def number(value: float) -> str:
    """A whole number with all its digits, another one with two after the point."""
    places = 0 if value == int(value) else 2
    return formats.number_format(round(value, places), places, use_l10n=True, force_grouping=True)


def share(value: float | None, limit: float | None) -> float | None:
    """How far, from 0 to 1; None where that is not known."""
    if value is None or not limit or limit <= 0:
        return None
    return min(1.0, max(0.0, value / limit))


def percent(part: float) -> str:
    """A share in whole percent; what is not all yet is never called 100 %."""
    return f"{min(99, int(part * 100))} %" if part < 1 else "100 %"


def said(job: Any, longest: int = 80) -> str:
    """What a job says of its progress, beside the bar; that it says nothing is worth a word only while it runs."""
    if job.progress_value is None:
        return _("no progress reported") if job.state == JobStates.STARTED.value else ""
    count = f"{number(job.progress_value)} / {number(job.progress_limit)}" if job.progress_limit else ""
    message = job.progress_message
    return " ".join(
        filter(None, (count, message if len(message) <= longest else f"{message[: longest - 1]}…"))
    )


def short(key: UUID | None) -> str:
    """The end of an id: the part by which the ids of one hour differ."""
    return key.hex[-SHORT:] if key else ""


def pretty(value: Any) -> str:
    """JSON as it is meant to be read."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def capped(count: int, cap: int) -> str:
    """A count that stopped at *cap*."""
    return f"{number(cap)}+" if count > cap else number(count)


def gist(message: object, longest: int = 72) -> str:
    """What tells a message from others of its type, in a few words: its first plain values."""
    if not isinstance(message, dict):
        return ""
    said = [_plain(name, value) for name, value in message.items() if isinstance(value, str | int | float)]
    said = [each for each in said if each]
    text = " · ".join(said[:3])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plain(name: str, value: str | float) -> str:
    """A text speaks for itself, a number only with its name. A long path is known by its end; a time tells nothing."""
    if not isinstance(value, str):
        return f"{name.replace('_', ' ')} {value}"
    if MOMENT.match(value):
        return ""
    text = " ".join(value.split())
    return text.rstrip("/").rpartition("/")[2] if text.startswith("/") and len(text) > 24 else text
