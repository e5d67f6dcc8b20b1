"""Charts as inline SVG: attributes and classes only, so that the strictest content policy lets them pass.

Text stands beside them in HTML: a chart is stretched to its place, and words must not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH = 1000.0
BAR_HEIGHT = 56.0
#: What takes any time at all is seen.
NARROWEST = 4.0


class Segment(NamedTuple):
    """A part of a lane: from where to where, in thousandths, and its tone."""

    tone: str
    x: float
    width: float


class Lane(NamedTuple):
    """One attempt: the wait before it and its run."""

    segments: tuple[Segment, ...]

    def svg(self) -> SafeString:
        """As a bar."""
        parts = (("seg " + each.tone, round(each.x, 1), round(each.width, 1)) for each in self.segments)
        inner = format_html_join("", '<rect class="{}" x="{}" y="1" width="{}" height="8" rx="2"/>', parts)
        return format_html(
            '<svg class="lane" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
            inner,
        )


class Stretch(NamedTuple):
    """What a lane shows: when it began to wait, when it ran, and the tone of the run."""

    waited_from: datetime | None
    started: datetime | None
    ended: datetime
    tone: str


def lanes(stretches: Sequence[Stretch]) -> list[Lane]:
    """The attempts of a job on one scale of time."""
    begin = min((each.waited_from or each.started or each.ended for each in stretches), default=None)
    if begin is None:
        return []
    whole = max(max(each.ended for each in stretches) - begin, timedelta(milliseconds=1))

    def at(moment: datetime) -> float:
        return WIDTH * ((moment - begin) / whole)

    return [Lane(tuple(_segments(each, at))) for each in stretches]


def _segments(each: Stretch, at: object) -> Iterable[Segment]:
    assert callable(at)
    until = each.started or each.ended
    if each.waited_from is not None and until > each.waited_from:
        yield Segment("wait", at(each.waited_from), at(until) - at(each.waited_from))
    if each.started is not None:
        width = max(at(each.ended) - at(each.started), NARROWEST)
        yield Segment(each.tone, min(at(each.started), WIDTH - width), width)


SPARK_WIDTH, SPARK_HEIGHT = 5, 20
#: How high a run is whose duration is not known.
UNKNOWN = 0.35


class Run(NamedTuple):
    """One run that has ended, or goes on: its tone, and how long it took."""

    tone: str
    duration: timedelta | None


def heights(runs: Sequence[Run]) -> list[float]:
    """How high each run stands, in parts of the longest; never too low to be seen."""
    longest = max((each.duration for each in runs if each.duration), default=None)
    if not longest:
        return [UNKNOWN] * len(runs)
    return [UNKNOWN if each.duration is None else max(0.15, each.duration / longest) for each in runs]


def sparkline(runs: Sequence[Run], title: str) -> SafeString:
    """The last runs as small bars, the oldest first: how long by their height, how they ended by their tone."""
    tall = [round(SPARK_HEIGHT * height, 1) for height in heights(runs)]
    bars = [
        (f"col {each.tone}", number * (SPARK_WIDTH + 1), SPARK_HEIGHT - high, SPARK_WIDTH, high)
        for number, (each, high) in enumerate(zip(runs, tall, strict=True))
    ]
    return format_html(
        '<svg class="spark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">{3}</svg>',
        max(1, len(runs) * (SPARK_WIDTH + 1) - 1), SPARK_HEIGHT, title,
        format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1"/>', bars),
    )  # fmt: skip


def tower(tone: str, height: float) -> SafeString:
    """One run as a bar of its own, for a link around it."""
    tall = round(28 * height, 1)
    return format_html(
        '<svg class="tower" viewBox="0 0 14 28" width="14" height="28" aria-hidden="true" focusable="false">'
        '<rect class="col {}" x="2" y="{}" width="10" height="{}" rx="2"/></svg>',
        tone, 28 - tall, tall,
    )  # fmt: skip


class Column(NamedTuple):
    """One bar of a chart: its parts from the bottom up, as (tone, height), and what it says."""

    parts: tuple[tuple[str, float], ...]
    label: str


def columns(bars: Sequence[Column], title: str) -> SafeString:
    """A bar chart, all bars on one scale."""
    highest = max((sum(height for _, height in bar.parts) for bar in bars), default=0) or 1.0
    step = WIDTH / max(1, len(bars))
    drawn = []
    for number, bar in enumerate(bars):
        y = BAR_HEIGHT
        for tone, height in bar.parts:
            if height > 0:
                tall = max(2.0, height / highest * (BAR_HEIGHT - 2))
                y -= tall
                drawn.append(
                    (
                        f"col {tone}",
                        round(number * step + 1, 1),
                        round(y, 1),
                        round(step - 2, 1),
                        round(tall, 1),
                    )
                )
    rects = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', drawn)
    return format_html(
        '<svg class="columns" viewBox="0 0 1000 {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="base" d="M0 {}H1000"/>{}</svg>',
        BAR_HEIGHT, title, BAR_HEIGHT - 0.5, rects,
    )  # fmt: skip
