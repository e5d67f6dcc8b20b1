"""A site that keeps its database connections open between jobs."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

for _database in DATABASES.values():
    _database["CONN_MAX_AGE"] = 60
