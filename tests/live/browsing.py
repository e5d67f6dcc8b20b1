"""A real browser in front of a real server, on the test's database.

The server is uvicorn with the test site, or Django's own without sockets. Each browser page notes what its console
says, so that a test may ask that nothing was blocked and nothing was wrong.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.processes import Site, Worker

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 30
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Server:
    """The test site, in a process of its own."""

    site: Site
    process: Worker
    port: int

    @classmethod
    def start(cls, directory: Path, *, asgi: bool = True, port: int = 0, **environment: str) -> Server:
        """Start it, and wait until it answers."""
        site = Site(directory, command=(sys.executable, "-m"))
        port = port or free_port()
        if asgi:
            arguments = [
                "uvicorn",
                "tests.live.asgi:application",
                "--port",
                str(port),
                "--log-level",
                "warning",
            ]
        else:
            arguments = ["django", "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"]
        server = cls(site, site.start(*arguments, **environment), port)
        server.wait()
        return server

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/admin/login/", timeout=5).close()
                return
            except (URLError, OSError):
                assert self.process.alive, self.process.log()
                time.sleep(0.05)
        raise AssertionError(f"the server does not answer\n{self.process.log()}")

    def stop(self) -> None:
        """End it."""
        self.site.close()


@dataclass
class Visit:
    """A page of a browser, and what its console has said."""

    page: Page
    server: Server
    said: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open an address of the site."""
        self.page.goto(self.server.url + path)
        return self.page


@contextmanager
def visit(browser: Browser, server: Server, user: Any = None, **options: Any) -> Iterator[Visit]:
    """A window of its own, logged in as this user."""
    context = browser.new_context(viewport=options.pop("viewport", DESK), **options)
    if user is not None:
        context.add_cookies([session_of(user, server)])  # type: ignore[list-item]
    yield _noting(context, server)
    context.close()


def session_of(user: Any, server: Server) -> dict[str, str]:
    """The cookie of someone who has logged in."""
    return cookie_of(user, server.url)


def cookie_of(user: Any, url: str) -> dict[str, str]:
    """The same for the site at this address."""
    client = Client()
    client.force_login(user)
    return {
        "name": settings.SESSION_COOKIE_NAME,
        "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
        "url": url,
    }


def superuser(name: str = "ada") -> Any:
    """Someone who may do everything."""
    return get_user_model().objects.create_superuser(name, password="x")


def _noting(context: BrowserContext, server: Server) -> Visit:
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    seen = Visit(page, server)
    page.on("console", lambda message: seen.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.said.append(f"error: {error}"))
    return seen


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def allow_queries_beside_playwright() -> None:
    """Its loop runs in the test's own thread, where Django would refuse to ask the database."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
