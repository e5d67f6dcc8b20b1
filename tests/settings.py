"""The site that the tests run in. Four variables of the environment choose what it stands on:

JOBSAGA_TEST_DATABASE          sqlite (the default), postgresql, mariadb, or a whole URL
JOBSAGA_TEST_DEFAULT_DATABASE  when set, this is the site's default database and jobsaga's rows live in the
                               other one, under the alias "jobs"
JOBSAGA_TEST_LANGUAGE          what the pages speak: en-us unless another is named
JOBSAGA_TEST_SETTINGS          JSON, laid over the JOBSAGA dict: how a test configures its worker processes
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.databases import server_url, settings_for

# One number for a test run and all processes it starts: two runs on one machine never share a database.
RUN = os.environ.setdefault("JOBSAGA_TEST_RUN", str(os.getpid()))
RUN_DIRECTORY = Path(tempfile.gettempdir()) / f"jobsaga-tests-{RUN}"


def _database(chosen: str, alias: str) -> dict[str, Any]:
    if chosen == "sqlite":
        database = settings_for(f"sqlite:///{RUN_DIRECTORY}/{alias}.sqlite3")
        test_name = f"{RUN_DIRECTORY}/test_{alias}.sqlite3"
    else:
        database = settings_for(chosen if "://" in chosen else server_url(chosen))
        test_name = f"test_jobsaga_{alias}_{RUN}"
    return {**database, "TEST": {"NAME": test_name, "DEPENDENCIES": []}}


_jobs = os.environ.get("JOBSAGA_TEST_DATABASE", "sqlite")
_default = os.environ.get("JOBSAGA_TEST_DEFAULT_DATABASE", "")
if _default:
    DATABASES = {"default": _database(_default, "default"), "jobs": _database(_jobs, "jobs")}
    DATABASE_ROUTERS = ["tests.jobsapp.router.JobsRouter"]
else:
    DATABASES = {"default": _database(_jobs, "default")}

JOBSAGA: dict[str, Any] = {
    "DATABASE": "jobs" if _default else "default",
    # Every host serves the test app's types, and one of them asks for this.
    "DISTRIBUTION_STRATEGIES": {"Region": "tests.jobsapp.strategies.ByRegion"},
    **json.loads(os.environ.get("JOBSAGA_TEST_SETTINGS", "{}")),
}

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = os.environ.get("JOBSAGA_TEST_LANGUAGE", "en-us")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
ROOT_URLCONF = "tests.urls"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "jobsaga",
    "jobsaga.live",
    "tests.jobsapp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
