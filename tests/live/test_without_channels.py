"""Pages, API and polling need no Channels; and who wires the socket without it is told what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WITHOUT = """
import sys
sys.modules["channels"] = None
import django
django.setup()
from django.core.management import call_command
from django.urls import get_resolver, reverse
call_command("check")
get_resolver().url_patterns
reverse("jobsaga_live:now"), reverse("jobsaga_api:jobs"), reverse("admin:jobsaga_live:now")
import jobsaga.live.feed
from django.core.exceptions import ImproperlyConfigured
try:
    import jobsaga.live.routing
except ImproperlyConfigured as error:
    assert "pip install 'jobsaga[live]'" in str(error)
else:
    raise AssertionError("it was imported")
"""


def test_all_but_the_socket_works_without_channels() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
