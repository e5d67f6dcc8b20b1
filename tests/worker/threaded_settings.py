"""A site that starts a thread while it is loaded, as agents do."""

from __future__ import annotations

import threading

from tests.settings import *  # noqa: F403

threading.Thread(target=threading.Event().wait, name="an agent", daemon=True).start()
