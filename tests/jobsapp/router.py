"""The router of a site that keeps jobsaga's rows in a database of their own.

It decides only where tables are made. Where a query goes is for the code under test to say: one that forgets
to name the alias meets a database without the table.
"""

from __future__ import annotations

from typing import Any


class JobsRouter:
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if app_label == "jobsaga":
            return db == "jobs"
        return None
