"""The site that the demo opens: its front door leads to the live pages, with their files, behind a login."""

from __future__ import annotations

import re
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode

import pytest

from dashboard import BASE_DIR
from dashboard.demo.house import free_port
from dashboard.demo.workers import process, running

pytestmark = [pytest.mark.process, pytest.mark.sqlite]

USER = """
import django; django.setup()
from django.contrib.auth.models import User
User.objects.create_superuser("admin", password="secret")
"""


def test_the_front_door_leads_to_the_live_pages(tmp_path: Path) -> None:
    environment = {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings", "DEBUG": "on", "SECRET_KEY": "x",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "PYTHONPATH": str(BASE_DIR),
    }  # fmt: skip
    log = tmp_path / "log"
    with running("migrate", log, "migrate", "-v0", **environment) as migrating:
        assert migrating.process.wait(60) == 0, log.read_text()
    with process("user", log, "-c", USER, **environment) as making:
        assert making.process.wait(60) == 0, log.read_text()
    port = free_port(0)
    server = ("-m", "uvicorn", "dashboard.asgi:application", "--port", str(port))
    with process("site", log, *server, **environment):
        url = f"http://127.0.0.1:{port}"
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = wait_for(browser, url)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token is not None
        fields = {
            "csrfmiddlewaretoken": token[1],
            "username": "admin",
            "password": "secret",
            "next": "/jobs/",
        }
        page = browser.open(f"{url}/admin/login/", urlencode(fields).encode()).read().decode()
        assert "No job was ever submitted" in page
        assert 'data-socket="/ws/jobsaga/"' in page
        for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            assert browser.open(url + name).status == 200, name
        assert browser.open(f"{url}/api/jobs").read() == b"[]"


def wait_for(browser: urllib.request.OpenerDirector, url: str) -> str:
    deadline = time.monotonic() + 30
    while True:
        try:
            text: str = browser.open(url).read().decode()
        except (URLError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return text
