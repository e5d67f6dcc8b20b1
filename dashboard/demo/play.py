"""Two workers are started, the story is told and checked. In a terminal all stays up afterwards, until Ctrl-C."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from django.core.management import call_command
from rich.text import Text

from dashboard import video
from dashboard.demo.cast import Cast
from dashboard.demo.checks import checks
from dashboard.demo.house import create_admin, free_port
from dashboard.demo.report import checks_table, jobs_table
from dashboard.demo.screen import Screen, draw
from dashboard.demo.story import PATIENCE, DemoError, Story
from dashboard.demo.workers import Worker, ask_all_to_end, process, running

SAMPLE_SECONDS = 30
GRACE = "1"  # seconds for the jobs when a worker is stopped: at Ctrl-C nobody wants to wait


def play(directory: Path, film: Path | None) -> int:
    """Play the demo in its directory, with the user's film or a sample; gives the exit code."""
    screen = Screen()
    screen.say(f"A fresh SQLite database in {directory}")
    call_command("migrate", verbosity=0)
    with ExitStack() as house:
        site = _open_site(house, directory) if screen.is_terminal else None
        if site:
            screen.say(f"Watch it live: {site.url}")
            screen.say(f"Log in as admin with the password {site.password}")
        workers = [house.enter_context(_worker(name, directory)) for name in ("A", "B")]
        house.callback(ask_all_to_end, workers)
        house.callback(screen.say, "Stopping what still runs.")
        screen.say("Two workers: " + ", ".join(f"{each.name} is process {each.pid}" for each in workers))
        cast = Cast(film or _sample(screen, directory), directory)
        story = Story(screen, cast, workers, patience=None if film else PATIENCE)
        try:
            all_is_well = perform(story)
        except DemoError as error:
            screen.print(draw(cast.rows(story.names)), Text(str(error), "bold red"))
            screen.print(f"The logs of the workers are in {directory}")
            return 1
        if site:
            screen.print("", f"A worker is still up, and so is {site.url}", f"Files and logs: {directory}")
            screen.print("Ctrl-C ends it all.")
            with suppress(KeyboardInterrupt):
                _stay()
    return 0 if all_is_well else 1


def perform(story: Story) -> bool:
    """Tell the story, print what came of it, and say whether everything ended as it should."""
    with story.screen.picture():
        story.tell()
    results = list(checks(story))
    story.screen.print("", jobs_table(story), "", checks_table(results))
    return all(check.holds for check in results)


def _worker(name: str, directory: Path) -> AbstractContextManager[Worker]:
    return running(name, directory / f"worker-{name}.log", "runjobworker", "--grace", GRACE)


class Site(NamedTuple):
    """Where the live pages are, and how the user `admin` logs in."""

    url: str
    password: str


def _open_site(house: ExitStack, directory: Path) -> Site:
    """Start the site for the time of the demo."""
    password, port = create_admin(), free_port()
    server = ("-m", "uvicorn", "dashboard.asgi:application", "--port", str(port), "--log-level", "warning")
    house.enter_context(process("site", directory / "site.log", *server, DEBUG="on"))
    return Site(f"http://127.0.0.1:{port}/jobs/", password)


def _sample(screen: Screen, directory: Path) -> Path:
    film = directory / "sample.mp4"
    with video.render_sample(film, seconds=SAMPLE_SECONDS) as rendering:
        frames = [*rendering.progress()][-1].frame
    screen.say(f"ffmpeg has rendered a sample film of {frames} frames")
    return film


def _stay() -> None:
    while True:
        time.sleep(3600)
