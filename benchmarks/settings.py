"""The site that is measured: as a user would write it, with nothing tuned. JOBSAGA_BENCH_DATABASE is a URL."""

from __future__ import annotations

import os

from tests.databases import settings_for

DATABASE = settings_for(os.environ.get("JOBSAGA_BENCH_DATABASE", "sqlite:///bench.sqlite3"))
# What jobsaga needs of SQLite it sets itself.
DATABASE["OPTIONS"] = {} if "sqlite" in DATABASE["ENGINE"] else DATABASE["OPTIONS"]
DATABASES = {"default": {**DATABASE, "TEST": {"NAME": DATABASE["NAME"]}}}

SECRET_KEY = "only for benchmarks"  # noqa: S105 - it guards nothing
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["jobsaga", "benchmarks"]
