"""``doctor``: what is wrong with a set-up, and how to mend it."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections import Counter

from jobsaga.management.cli.diagnosis import examine
from jobsaga.management.cli.finding import Finding
from jobsaga.management.cli.output import Output, keys, moment, printable
from jobsaga.management.cli.verb import FAILED, OK, Verb


def add_arguments(parser: ArgumentParser) -> None:
    """There are none."""


def run(options: Namespace, output: Output) -> int:
    findings = examine(pause=time.sleep)
    healthy = not any(each.level == "error" for each in findings)
    if output.as_json:
        output.json({"healthy": healthy, "findings": findings})
    else:
        for finding in findings:
            _print(finding, output)
        output.line(_summary(findings, output))
    return OK if healthy else FAILED


def _print(finding: Finding, output: Output) -> None:
    style = output.style
    paint = {"error": style.ERROR, "warning": style.WARNING}.get(finding.level, style.NOTICE)
    since = f" (since {moment(finding.since)})" if finding.since else ""
    output.line(f"{paint(finding.level.ljust(7))}  {printable(finding.what)}{since}")
    if finding.mend:
        output.line("         " + printable(finding.mend).replace("\n", "\n         "))
    output.line()


def _summary(findings: list[Finding], output: Output) -> str:
    levels = Counter(each.level for each in findings)
    if not levels["error"] and not levels["warning"]:
        return output.style.SUCCESS("Healthy: nothing is wrong.")
    said = [f"{n} {level}{'s' * (n > 1)}" for level in ("error", "warning") if (n := levels[level])]
    verdict = ", ".join(said)
    return output.style.ERROR(f"Not healthy: {verdict}.") if levels["error"] else f"Healthy, with {verdict}."


DOCTOR = Verb(
    "doctor",
    "What is wrong with this set-up, and how to mend it. The exit code is 1 if there is an error.",
    f"healthy: true or false; findings: objects with {keys(Finding)}; level is error, warning or info.",
    add_arguments,
    run,
    needs_sound_site=False,
)
