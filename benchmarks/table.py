"""The numbers of all runs as one table, in Markdown: the medians of runs of the same name."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

Result = dict[str, Any]


def _number(key: str, digits: int = 0) -> Callable[[list[Result]], str]:
    """The median of what was measured under this key; a dash if it was not."""

    def cell(runs: list[Result]) -> str:
        known = [run[key] for run in runs if run.get(key) is not None]
        return f"{median(known):,.{digits}f}" if known else "-"

    return cell


def _text(key: str) -> Callable[[list[Result]], str]:
    return lambda runs: str(runs[0].get(key, "-"))


COLUMNS: dict[str, Callable[[list[Result]], str]] = {
    "database": _text("database"),
    "isolation": _text("isolation"),
    "at once": _text("concurrency"),
    "submit/s": _number("submit_per_s"),
    "p50 ms": _number("submit_p50_ms", 1),
    "p99 ms": _number("submit_p99_ms", 1),
    "bulk/s": _number("bulk_per_s"),
    "drain/s": _number("drain_per_s"),
    "worker ms": _number("worker_ms", 2),
    "server ms": _number("server_ms", 2),
    "both/s": _number("both_per_s"),
    "idle p50": _number("latency_p50_ms"),
    "idle p99": _number("latency_p99_ms"),
    "10 x 50 ms": _number("one_by_one_s", 2),
    "others": _number("others_cores", 1),
}
LEGEND = """\
submit: one submit_job after the other, no worker; bulk: all in one submit_jobs; drain: recorded ends, from a tenth
done to the last; worker ms, server ms: CPU time for each of these jobs; both: submit_job one after the other while the
worker runs, to the last end; idle: ms from submit_job to user code on an idle worker; 10 x 50 ms: seconds for ten such
jobs of a type with limit 1; others: CPU cores that were used by anything else meanwhile."""


def table(results: list[Result]) -> str:
    """With a line on each database, since speed without durability means nothing."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result["name"], []).append(result)
    rows = [[cell(runs) for cell in COLUMNS.values()] for runs in groups.values()]
    servers = dict.fromkeys(str(result["server"]) for result in results if "server" in result)
    return "\n".join([*_markdown([*COLUMNS], rows), "", LEGEND, *servers, ""])


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    rule = ["-" * (width - 1) + ":" for width in widths]
    return [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, rule, *rows)
    ]
