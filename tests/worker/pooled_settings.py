"""A site whose databases are pooled (PostgreSQL only)."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

for _database in DATABASES.values():
    if _database["ENGINE"].endswith("postgresql"):
        _database["OPTIONS"] = {**_database["OPTIONS"], "pool": True}
