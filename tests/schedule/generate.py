"""Cron texts for the differential test: what our dialect and cronsim's have in common."""

from __future__ import annotations

import random

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def cron_text(rng: random.Random) -> str:
    """Five or six fields. Most say little, as real ones do; some are odd."""
    minute = field(rng, 0, 59, free=2)
    hour = field(rng, 0, 23, free=2)
    month = field(rng, 1, 12, free=9, names=MONTHS)
    text = f"{minute} {hour} {day_of_month(rng)} {month} {day_of_week(rng)}"
    if rng.random() < 0.4:
        return text
    return f"{field(rng, 0, 59, free=2) if rng.random() < 0.5 else 0} {text}"


def field(rng: random.Random, low: int, high: int, free: int, names: list[str] | None = None) -> str:
    """``free``: how often of twelve times it is a star. Night hours come often: clocks are set at night."""
    if rng.randrange(12) < free:
        return "*"
    if high == 23 and rng.random() < 0.5:
        return rng.choice(["0", "1", "2", "3", "1,2", "0-3", "2,3", "1-2", "23", "0,12"])
    return ",".join(item(rng, low, high, names) for _ in range(rng.choice([1, 1, 1, 2, 3])))


def item(rng: random.Random, low: int, high: int, names: list[str] | None) -> str:
    def name(value: int) -> str:
        return names[value - low] if names and rng.random() < 0.4 else str(value)

    first = rng.randint(low, high - 1)
    last = rng.randint(first + 1, high)
    kind = rng.choice(["value"] * 5 + ["range"] * 2 + ["step", "stepped range", "from"])
    if kind == "value":
        return name(rng.randint(low, high))
    if kind == "range":
        return f"{name(first)}-{name(last)}"
    if kind == "step":
        return f"*/{rng.randint(2, high - low)}"
    if kind == "stepped range":
        return f"{name(first)}-{name(last)}/{rng.randint(1, last - first)}"
    start = max(first, low + 1)  # from the lowest on, with a step of 1, is a star
    return f"{start}/{rng.randint(1, high - start)}" if start < high else name(start)


def day_of_month(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return "*"
    if rng.random() < 0.2:
        return rng.choice(["L", "LW", "15,L", "1,LW", "L,LW"])
    return field(rng, 1, 31, free=0)


def day_of_week(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return "*"
    weekday = rng.randint(0, 7)
    if rng.random() < 0.25:
        return rng.choice(
            [f"{weekday}L", f"{weekday}#{rng.randint(1, 5)}", f"1,{weekday}L", f"{weekday}#1,{weekday}#3"]
        )
    if rng.random() < 0.2:
        return str(weekday)
    return field(rng, 0, 6, free=0, names=WEEKDAYS)
