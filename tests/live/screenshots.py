"""Pictures of the real pages: ``make screenshots`` writes docs/screenshots.

The dashboard site runs on a fresh SQLite database with two real workers and the demo's jobs; when all that a picture
should show is there, headless Chromium takes each page, light and dark. ffmpeg gives the pictures a palette, so that
they stay small.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from dashboard.demo.house import free_port, prepare

SIZE = {"width": 1280, "height": 820}
LARGEST = 150 * 1024
PATIENCE = 420
QUICK, SAMPLE_SECONDS = 36, 40


def main() -> int:
    """Take them; the exit code is 1 if one has become too large."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.screenshots")
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with tempfile.TemporaryDirectory() as directory:
        prepare(Path(directory, "house"))
        import django

        django.setup()
        taken = _take(Path(directory, "house"), out)
    for path in taken:
        print(f"{path.stat().st_size / 1024:7.0f} KB  {path}")
    return 1 if any(path.stat().st_size > LARGEST for path in taken) else 0


def _take(directory: Path, out: Path) -> list[Path]:
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from dashboard.demo.workers import ask_all_to_end, process, running

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("ada")
    port = free_port(8000)
    server = ("-m", "uvicorn", "dashboard.asgi:application", "--port", str(port), "--log-level", "warning")
    with ExitStack() as house:
        house.enter_context(process("site", directory / "site.log", *server, DEBUG="on"))
        workers = [
            house.enter_context(running(name, directory / f"{name}.log", "runjobworker", "--grace", "1"))
            for name in "AB"
        ]
        house.callback(ask_all_to_end, workers)
        jobs = _submit(directory)
        _wait("everything that the pictures show", lambda: _is_ready(jobs))
        return _shoot(port, jobs, directory, out)


def _submit(directory: Path) -> dict[str, Any]:
    """The jobs by what they are to show."""
    from dashboard import video
    from dashboard.jobs import CallService, ConvertVideo, PackDirectory, QuickJob, RunJob
    from jobsaga import add_or_update_recurring_job, schedule_job, submit_job, submit_jobs

    film = directory / "holiday.mp4"
    with video.render_sample(film, seconds=SAMPLE_SECONDS) as rendering:
        for _ in rendering.progress():
            pass
    for name, cron in (
        ("month-end", "0 0 6 1 * *"),
        ("nightly-books", "0 30 2 * * *"),
        ("stock", "0 */15 * * * *"),
    ):
        report = RunJob(name.replace("-", " ").capitalize(), "Of all shops", parameters={"step_seconds": 0.2})
        add_or_update_recurring_job(name, report, cron, time_zone="Europe/Berlin")
    submit_jobs([QuickJob(number, 40 + number % 7 * 90) for number in range(QUICK)])
    jobs: dict[str, Any] = {"failed": submit_job(CallService(failures=9), submitted_by="ana")}
    submit_jobs([CallService(failures=8 + number) for number in range(3)])
    library = sysconfig.get_path("stdlib")
    jobs["packed"] = submit_job(
        PackDirectory(library, str(directory / "pack"), ("site-packages", "config-*"))
    )
    for number, preset in enumerate(("placebo", "veryslow", "veryslow", "slower")):
        target = str(directory / f"holiday-{720 - 120 * number}p.mp4")
        job_id = submit_job(ConvertVideo(str(film), target, preset=preset, threads=1), submitted_by="ben")
        jobs.setdefault("running", job_id)
    for name in ("Quarter's report", "Price list", "Stock count"):
        submit_job(RunJob(name, "Of all shops", parameters={"step_seconds": 6}))
    schedule_job(timedelta(hours=9), RunJob("Inventory", "Of all shops"))
    return jobs


def _is_ready(jobs: dict[str, Any]) -> bool:
    from jobsaga.models import JobSaga
    from jobsaga.sagas.states import JobStates

    states = dict(JobSaga.objects.filter(pk__in=jobs.values()).values_list("id", "state"))
    quick = JobSaga.objects.filter(job_type__endswith="QuickJob", finished_at__isnull=False).count()
    film = JobSaga.objects.get(pk=jobs["running"])
    far = (film.progress_value or 0) / (film.progress_limit or 1)
    return (
        quick >= QUICK // 2
        and states[jobs["failed"]] == JobStates.FAULTED
        and (far > 0.08 or film.finished_at is not None)
    )


def _wait(what: str, is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.5)


def _shoot(port: int, jobs: dict[str, Any], directory: Path, out: Path) -> list[Path]:
    from django.contrib.auth.models import User
    from django.db import connections

    from tests.live.browsing import chromium, cookie_of

    addresses = {
        "now": "", "jobs": "jobs/", "job": f"jobs/{jobs['running']}/", "failed": f"jobs/{jobs['failed']}/",
        "types": "types/", "schedules": "schedules/", "workers": "workers/", "failures": "failures/",
    }  # fmt: skip
    site = f"http://127.0.0.1:{port}"
    taken = []
    with chromium() as browser:
        cookie = cookie_of(User.objects.get(), site)
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
            context.add_cookies([cookie])  # type: ignore[list-item]
            page = context.new_page()
            for name, path in addresses.items():
                page.goto(f"{site}/jobs/{path}")
                page.locator('#connection[data-kind="live"]').wait_for()
                raw, target = directory / "raw.png", out / f"{name}-{scheme}.png"
                page.screenshot(path=raw)
                _with_palette(raw, target)
                taken.append(target)
            context.close()
        connections.close_all()  # those of Playwright's own context
    return taken


def _with_palette(raw: Path, target: Path) -> None:
    from imageio_ffmpeg import get_ffmpeg_exe

    palette = "split[a][b];[a]palettegen=max_colors=128[p];[b][p]paletteuse=dither=none"
    command = [get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(raw), "-vf", palette, str(target)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
