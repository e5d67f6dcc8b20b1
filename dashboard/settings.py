"""The settings of the site. Each can be set by an environment variable or a `.env` file; none has to be.

    DATABASE_URL          sqlite:///path, postgres://..., mysql://...     default: db.sqlite3 beside manage.py
    DATABASE_PASSWORD                                                     of a database whose URL has none
    JOBSAGA_TRANSPORT     database://, or amqp://user@host/vhost          default: database://
    JOBSAGA_TRANSPORT_PASSWORD                                            of a broker whose URL has none
    SECRET_KEY            required when DEBUG is off
    DEBUG                 on, off                                         default: on
    ALLOWED_HOSTS         comma separated names                           default: this machine only
    CSRF_TRUSTED_ORIGINS  comma separated origins, for a site behind a proxy
    TIME_ZONE             a name such as Europe/Berlin                    default: UTC
    LOG_LEVEL             DEBUG, INFO, WARNING                            default: INFO

Secrets are read with `secret()`: django-environ takes a value that begins with `$` for the name of another
variable, and passwords may well begin so. Each of them (the URLs, the passwords, SECRET_KEY) can be in a file
instead, as container platforms mount them: then the variable with `_FILE` behind its name says where.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote
from warnings import filterwarnings

import environ
from django.core.exceptions import ImproperlyConfigured

from dashboard import BASE_DIR

env = environ.Env()
env.read_env(BASE_DIR / ".env")


def secret(name: str) -> str:
    """The variable exactly as it is set, or what is in its file, without the line's end; or an empty string."""
    value, path = os.environ.get(name, ""), os.environ.get(f"{name}_FILE", "")
    if value or not path:
        return value
    try:
        return Path(path).read_text().rstrip("\r\n")
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names a file that cannot be read: {error}") from error


DEBUG: bool = env.bool("DEBUG", default=True)
SECRET_KEY = secret("SECRET_KEY") or ("only-good-enough-for-this-machine" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("DEBUG is off and SECRET_KEY is empty: set SECRET_KEY to a long random text.")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])


def database(url: str) -> dict[str, Any]:
    """Django's settings for a database URL, with what its engine needs to serve many processes.

    SQLite: a transaction asks for the write lock when it begins (asking halfway may fail at once) and waits
    up to 20 s for it; the write-ahead log lets readers go on meanwhile. Servers: health checks replace dead
    connections. `pool` arrives from the URL as text, and Django wants a boolean.
    """
    config: dict[str, Any] = env.db_url_config(url)
    options: dict[str, Any] = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        options.setdefault("transaction_mode", "IMMEDIATE")
        options.setdefault("timeout", 20)
        options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
    else:
        config.setdefault("CONN_HEALTH_CHECKS", True)
    if "pool" in options:
        options["pool"] = str(options["pool"]).lower() in env.BOOLEAN_TRUE_STRINGS
    return config


DATABASES = {
    "default": database(secret("DATABASE_URL") or f"sqlite:///{quote(str(BASE_DIR / 'db.sqlite3'))}")
}
if password := secret("DATABASE_PASSWORD"):
    DATABASES["default"]["PASSWORD"] = DATABASES["default"].get("PASSWORD") or password
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

JOBSAGA = {
    "TRANSPORT": secret("JOBSAGA_TRANSPORT") or "database://",
    "TRANSPORT_PASSWORD": secret("JOBSAGA_TRANSPORT_PASSWORD") or None,
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "jobsaga",
    "jobsaga.live",
    "dashboard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
if not DEBUG:
    # `manage.py collectstatic` has put the files there; while DEBUG is on, Django finds them where they are.
    MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
    # Django warns of files that are read at once, not bit by bit; these are small.
    filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators", Warning)
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
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]
LOGIN_URL = "admin:login"
ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"
ASGI_APPLICATION = "dashboard.asgi.application"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
USE_TZ = True
TIME_ZONE: str = env.str("TIME_ZONE", default="UTC")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
