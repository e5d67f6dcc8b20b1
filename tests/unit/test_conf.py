"""The settings: defaults, what is read, and what is refused."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from typing import Any, get_type_hints

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from jobsaga import conf
from jobsaga.conf import KEYS, Settings, settings


def with_settings(**values: Any) -> override_settings:
    return override_settings(JOBSAGA=values)


@override_settings(JOBSAGA={})
def test_the_defaults() -> None:
    assert {key: getattr(settings, key) for key in KEYS} == {
        "TRANSPORT": "database://",
        "TRANSPORT_PASSWORD": None,
        "REMOTE_REQUESTS": True,
        "DATABASE": "default",
        "ISOLATION": None,
        "FINALIZE_COMPLETED": False,
        "CONCURRENT_MESSAGE_LIMIT": 500,
        "HEARTBEAT_INTERVAL": timedelta(seconds=5),
        "HEARTBEAT_TIMEOUT": timedelta(seconds=15),
        "SUSPECT_JOB_RETRY_COUNT": 3,
        "SUSPECT_JOB_RETRY_DELAY": timedelta(seconds=1),
        "JOB_CANCELLATION_TIMEOUT": timedelta(seconds=30),
        "ZOMBIE_GRACE": timedelta(seconds=3),
        "MISFIRE_GRACE": timedelta(seconds=60),
        "HISTORY_RETENTION": None,
        "LOG_RETENTION": timedelta(days=30),
        "JOB_RETENTION": timedelta(days=30),
        "JOB_LOG_LINES": 1000,
        "MAX_JOBS_PER_CHILD": 1000,
        "MAX_MESSAGE_BYTES": 262144,
        "PUBLISH_EVENTS": False,
        "VISIBLE_JOBS": None,
        "DISTRIBUTION_STRATEGIES": {},
        "AUTODISCOVER_MODULE": "jobs",
    }
    assert list(conf.problems()) == []


def test_every_setting_is_typed_and_described() -> None:
    public = {name for name in get_type_hints(Settings) if not name.startswith("_")}
    assert public == set(KEYS)
    body = ast.parse(inspect.getsource(Settings)).body[0].body  # type: ignore[attr-defined]
    described = {
        node.target.id
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(node.target, ast.Name)
    }
    assert described >= set(KEYS)


def test_a_site_without_the_dict_has_the_defaults() -> None:
    with override_settings():
        from django.conf import settings as django_settings

        del django_settings.JOBSAGA
        assert timedelta(seconds=5) == settings.HEARTBEAT_INTERVAL
        assert list(conf.problems()) == []


def test_settings_follow_what_a_test_overrides() -> None:
    with with_settings(HEARTBEAT_INTERVAL=1):
        assert timedelta(seconds=1) == settings.HEARTBEAT_INTERVAL
        with with_settings(HEARTBEAT_INTERVAL=timedelta(seconds=2)):
            assert timedelta(seconds=2) == settings.HEARTBEAT_INTERVAL
        assert timedelta(seconds=1) == settings.HEARTBEAT_INTERVAL


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("TRANSPORT", "memory://", "memory://"),
        ("TRANSPORT", "amqps://shop@rabbit/vhost", "amqps://shop@rabbit/vhost"),
        ("TRANSPORT_PASSWORD", "$ecret", "$ecret"),
        ("ISOLATION", "thread", "thread"),
        ("SUSPECT_JOB_RETRY_COUNT", 0, 0),
        ("SUSPECT_JOB_RETRY_DELAY", 0, timedelta(0)),
        ("ZOMBIE_GRACE", 0.5, timedelta(milliseconds=500)),
        ("HISTORY_RETENTION", timedelta(days=1), timedelta(days=1)),
        ("JOB_RETENTION", None, None),
    ],
)
def test_values_are_read(key: str, value: object, read: object) -> None:
    with with_settings(**{key: value}):
        assert getattr(settings, key) == read
        assert list(conf.problems()) == []


WRONG = [
    (
        "TRANSPORT",
        "smoke://localhost",
        "must be a URL that begins with database:// or memory:// or amqp:// or amqps://, not with 'smoke'",
    ),
    ("TRANSPORT", "amqp://", "must have the form amqp://user@host:port/virtual-host"),
    ("TRANSPORT", "amqp://user@host:port/", "has a host or a port that cannot be read"),
    ("TRANSPORT", "amqp://shop:/secret@host/", "has an @ behind its host: write %2F %3F %23 for / ? #"),
    ("TRANSPORT", "amqp://host/?heartbeat=1", "has the unknown option 'heartbeat'; known are"),
    ("TRANSPORT", "amqp://host/?queue_prefix=", "must have a queue_prefix of 1 to 100 bytes"),
    ("TRANSPORT_PASSWORD", "", "must be a string that is not empty"),
    ("REMOTE_REQUESTS", 1, "must be True or False"),
    ("TRANSPORT", "database", "must be a URL"),
    ("TRANSPORT", None, "must be a string"),
    ("DATABASE", "", "must be a string that is not empty"),
    ("ISOLATION", "fibre", "must be 'process', 'thread', 'inline' or None"),
    ("FINALIZE_COMPLETED", "yes", "must be True or False"),
    ("CONCURRENT_MESSAGE_LIMIT", 0, "must be at least 1"),
    ("HEARTBEAT_INTERVAL", 0, "must be more than zero"),
    ("HEARTBEAT_TIMEOUT", "15", "must be a timedelta or a number of seconds"),
    ("SUSPECT_JOB_RETRY_COUNT", -1, "must be at least 0"),
    ("SUSPECT_JOB_RETRY_DELAY", -1, "must not be negative"),
    ("JOB_CANCELLATION_TIMEOUT", None, "must be a timedelta or a number of seconds"),
    ("ZOMBIE_GRACE", -1, "must not be negative"),
    ("MISFIRE_GRACE", -1, "must not be negative"),
    ("HISTORY_RETENTION", 0, "must be more than zero"),
    ("LOG_RETENTION", "30 days", "must be a timedelta"),
    ("JOB_RETENTION", float("nan"), "must be a finite number"),
    ("JOB_LOG_LINES", 0, "must be at least 1"),
    ("MAX_JOBS_PER_CHILD", 0, "must be at least 1"),
    ("MAX_MESSAGE_BYTES", 1.5, "must be a whole number"),
    ("PUBLISH_EVENTS", "all", "must be True or False"),
    ("VISIBLE_JOBS", "no.function", "has 'no.function', which cannot be imported"),
    ("VISIBLE_JOBS", 1, "must be a function or its path"),
    ("DISTRIBUTION_STRATEGIES", [], "must be a dict of names and classes"),
    ("DISTRIBUTION_STRATEGIES", {1: "x.Y"}, "must be a dict of names and classes"),
    ("DISTRIBUTION_STRATEGIES", {"default": "no.Strategy"}, "has 'no.Strategy' under 'default', which"),
    (
        "DISTRIBUTION_STRATEGIES",
        {"default": "datetime.datetime"},
        "must have a JobDistributionStrategy under 'default'",
    ),
    ("AUTODISCOVER_MODULE", None, "must be a string"),
]


@pytest.mark.parametrize(("key", "value", "said"), WRONG)
def test_a_wrong_value_is_refused_by_name(key: str, value: object, said: str) -> None:
    with with_settings(**{key: value}):
        with pytest.raises(ImproperlyConfigured) as caught:
            getattr(settings, key)
        assert str(caught.value).startswith(f'JOBSAGA["{key}"] {said}')
        assert list(conf.problems()) == [(key, str(caught.value))]


def test_every_setting_can_be_wrong() -> None:
    assert {key for key, _, _ in WRONG} == set(KEYS)


def test_unknown_keys_are_told() -> None:
    with with_settings(HEARTBEAT_INTERVALL=1, Database="x", ZZZ=1):
        assert [text for _, text in conf.problems()] == [
            'JOBSAGA["HEARTBEAT_INTERVALL"] is unknown. Did you mean HEARTBEAT_INTERVAL?',
            'JOBSAGA["Database"] is unknown. Did you mean DATABASE?',
            f'JOBSAGA["ZZZ"] is unknown. Known are: {", ".join(KEYS)}.',
        ]
    with pytest.raises(AttributeError, match=r"no setting 'DATABSE'\. Did you mean DATABASE"):
        settings.DATABSE  # noqa: B018


def test_a_dict_that_is_none() -> None:
    with override_settings(JOBSAGA="database://"):
        assert list(conf.problems()) == [("JOBSAGA", "JOBSAGA must be a dict, not 'database://'.")]
        with pytest.raises(ImproperlyConfigured, match="must be a dict"):
            settings.DATABASE  # noqa: B018


def test_settings_are_not_set_here() -> None:
    with pytest.raises(AttributeError, match="in the settings file"):
        settings.DATABASE = "other"
    assert settings.__dict__.get("DATABASE") is None


def test_nothing_is_read_when_the_module_is_imported() -> None:
    code = "import sys, jobsaga.conf; assert 'django.apps.registry' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""})
