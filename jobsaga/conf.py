"""The settings: one dict, ``JOBSAGA``, in the site's settings file.

Everything has a default, so an empty site needs none of it. A value is read and checked when it is first
asked for; ``manage.py check`` reads all of them and reports every mistake at once. Whoever needs a setting
asks for ``settings.KEY`` each time and keeps no copy: then tests may override it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from jobsaga.broker_url import PORTS, Secret, has_password, parse
from jobsaga.exceptions import near_matches
from jobsaga.options import Isolation, as_isolation
from jobsaga.payload import MAX_MESSAGE_BYTES
from jobsaga.sagas.distribution import JobDistributionStrategy
from jobsaga.validation import as_count, as_duration

NAME = "JOBSAGA"
TRANSPORT_SCHEMES = ("database", "memory", *PORTS)


def _as_text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a string that is not empty, not {value!r}")
    return value


def _as_transport(value: object) -> str:
    scheme, separator, _ = _as_text(value).partition("://")
    if not separator or scheme not in TRANSPORT_SCHEMES:
        known = " or ".join(f"{each}://" for each in TRANSPORT_SCHEMES)
        raise ValueError(
            f"must be a URL that begins with {known}, not with {scheme if separator else '...'!r}"
        )
    if scheme in PORTS:
        parse(str(value))
    return Secret(value) if has_password(str(value)) else str(value)


def _as_secret(value: object) -> Secret:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a string that is not empty")
    return Secret(value)


def _as_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {value!r}")
    return value


def _or_none(check: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else check(value)


def _as_strategies(value: object) -> dict[str, type[JobDistributionStrategy]]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"must be a dict of names and classes, not {value!r}")
    return {name: _as_strategy(name, each) for name, each in value.items()}


def _as_strategy(name: str, value: object) -> type[JobDistributionStrategy]:
    found = value
    if isinstance(value, str):
        try:
            found = import_string(value)
        except ImportError as error:
            raise ValueError(f"has {value!r} under {name!r}, which cannot be imported: {error}") from error
    if not isinstance(found, type) or not issubclass(found, JobDistributionStrategy):
        raise ValueError(
            f"must have a JobDistributionStrategy under {name!r}, its class or its path, not {value!r}"
        )
    return found


def _as_function(value: object) -> Callable[..., Any]:
    found = value
    if isinstance(value, str):
        try:
            found = import_string(value)
        except ImportError as error:
            raise ValueError(f"has {value!r}, which cannot be imported: {error}") from error
    if not callable(found):
        raise ValueError(f"must be a function or its path, not {value!r}")
    return found


_from_zero = partial(as_duration, zero=True)


class Key(NamedTuple):
    """One setting: what holds without it, and what turns the user's value into ours or raises ValueError."""

    default: Any
    read: Callable[[object], Any]


KEYS: dict[str, Key] = {
    "TRANSPORT": Key("database://", _as_transport),
    "TRANSPORT_PASSWORD": Key(None, _or_none(_as_secret)),
    "REMOTE_REQUESTS": Key(default=True, read=_as_flag),
    "DATABASE": Key("default", _as_text),
    "ISOLATION": Key(None, _or_none(as_isolation)),
    "FINALIZE_COMPLETED": Key(default=False, read=_as_flag),
    "CONCURRENT_MESSAGE_LIMIT": Key(500, as_count),
    "HEARTBEAT_INTERVAL": Key(5, as_duration),
    "HEARTBEAT_TIMEOUT": Key(15, as_duration),
    "SUSPECT_JOB_RETRY_COUNT": Key(3, partial(as_count, minimum=0)),
    "SUSPECT_JOB_RETRY_DELAY": Key(1, _from_zero),
    "JOB_CANCELLATION_TIMEOUT": Key(30, as_duration),
    "ZOMBIE_GRACE": Key(3, _from_zero),
    "MISFIRE_GRACE": Key(60, _from_zero),
    "HISTORY_RETENTION": Key(None, _or_none(as_duration)),
    "LOG_RETENTION": Key(timedelta(days=30), _or_none(as_duration)),
    "JOB_RETENTION": Key(timedelta(days=30), _or_none(as_duration)),
    "JOB_LOG_LINES": Key(1000, as_count),
    "MAX_JOBS_PER_CHILD": Key(1000, as_count),
    "MAX_MESSAGE_BYTES": Key(MAX_MESSAGE_BYTES, as_count),
    "PUBLISH_EVENTS": Key(default=False, read=_as_flag),
    "DISTRIBUTION_STRATEGIES": Key({}, _as_strategies),
    "AUTODISCOVER_MODULE": Key("jobs", _as_text),
    "VISIBLE_JOBS": Key(None, _or_none(_as_function)),
}


class Settings:
    """The settings as they are now, checked and typed. Durations are given in seconds or as timedelta, and
    are timedeltas here. Raises ImproperlyConfigured, naming the key.
    """

    TRANSPORT: str
    """What carries the messages: "database://", "amqp://user@host/vhost" (RabbitMQ; "amqps://" with TLS), or
    "memory://" (one process only: for tests)."""
    TRANSPORT_PASSWORD: str | None
    """The broker's password, for a TRANSPORT without one. It is shown nowhere."""
    REMOTE_REQUESTS: bool
    """Whether, with RabbitMQ, services that know nothing of Django may submit and steer."""
    DATABASE: str
    """The alias in DATABASES under which all tables of jobsaga live."""
    ISOLATION: Isolation | None
    """Where jobs run whose options do not say it. None: "process"."""
    FINALIZE_COMPLETED: bool
    """Whether a job is removed as soon as it has completed."""
    CONCURRENT_MESSAGE_LIMIT: int
    """How many messages are handled in one transaction at most."""
    HEARTBEAT_INTERVAL: timedelta
    """How often a worker says that it is alive."""
    HEARTBEAT_TIMEOUT: timedelta
    """The lease: a worker that was silent for so long is lost, and its jobs go on elsewhere. At least 3
    heartbeats."""
    SUSPECT_JOB_RETRY_COUNT: int
    """How often a job is started again after it lost its worker."""
    SUSPECT_JOB_RETRY_DELAY: timedelta
    """How long it waits before that."""
    JOB_CANCELLATION_TIMEOUT: timedelta
    """How long a job may clean up when it has to end, unless its options say otherwise."""
    ZOMBIE_GRACE: timedelta
    """How long the transaction of a lost attempt may hold its row before its database session is ended."""
    MISFIRE_GRACE: timedelta
    """How late a run of a recurring job may start before it counts as missed (see its ``misfire``)."""
    HISTORY_RETENTION: timedelta | None
    """How long history is kept. None: for ever."""
    LOG_RETENTION: timedelta | None
    """How long the log lines of jobs are kept. None: for ever."""
    JOB_RETENTION: timedelta | None
    """How long finished jobs are kept, with their attempts. None: for ever."""
    JOB_LOG_LINES: int
    """How many lines the log of a job keeps, over all its attempts. What follows is left out, and counted."""
    MAX_JOBS_PER_CHILD: int
    """How many jobs a child process runs, one after the other, before it is replaced by a new one."""
    MAX_MESSAGE_BYTES: int
    """How large a message, a saved state or a result may be, as JSON. Larger things belong elsewhere; store
    where."""
    PUBLISH_EVENTS: bool
    """Whether what happens to jobs is published on RabbitMQ, for whoever binds a queue to the exchange."""
    DISTRIBUTION_STRATEGIES: dict[str, type[JobDistributionStrategy]]
    """Which of the site's classes says where jobs go: by job type, by the name that job types give in their property
    "DistributionStrategy", or "default". Needed where saga hosts run."""
    AUTODISCOVER_MODULE: str
    """The module of each installed app in which its job consumers are defined."""
    VISIBLE_JOBS: Callable[[Any, Any], Any] | None
    """The site's function that gives, of all jobs, those that a user may see on pages, in the admin and by the API.
    None: who may see jobs sees all."""

    _read_from: _Given
    _values: dict[str, Any]

    def __init__(self) -> None:
        self._forget(_Given({}))

    def __getattr__(self, key: str) -> Any:
        if key not in KEYS:
            raise AttributeError(f"jobsaga has no setting {key!r}.{_suggestion(key)}")
        given = _given()
        if given.values is not self._read_from.values:
            self._forget(given)
        values = self._values
        if key not in values:
            values[key] = _read(key, given)
        return values[key]

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f'Set JOBSAGA["{key}"] in the settings file; in a test, override JOBSAGA.')

    def _forget(self, given: _Given) -> None:
        """Another dict in the site's settings: read everything anew."""
        self.__dict__.update(_values={}, _read_from=given)


class _Given:
    """The site's dict. A traceback shows the names of its keys only: one of them is a password."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"<JOBSAGA with {', '.join(map(str, self.values))}>"


settings = Settings()


def problems() -> Iterator[tuple[str, str]]:
    """All that is wrong with the settings: (key, text) for each. Read by ``manage.py check``."""
    try:
        given = _given()
    except ImproperlyConfigured as error:
        yield NAME, str(error)
        return
    for key in given.values:
        if key not in KEYS:
            yield key, f'JOBSAGA["{key}"] is unknown.{_suggestion(key)}'
    for key in KEYS:
        try:
            _read(key, given)
        except ImproperlyConfigured as error:
            yield key, str(error)


_NOTHING: Mapping[str, Any] = {}


def _given() -> _Given:
    given = getattr(django_settings, NAME, _NOTHING)
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"JOBSAGA must be a dict, not {given!r}.")
    return _Given(given)


def _read(key: str, given: _Given) -> Any:
    default, read = KEYS[key]
    try:
        return read(given.values.get(key, default))
    except ValueError as problem:
        raise ImproperlyConfigured(f'JOBSAGA["{key}"] {problem}.') from None


def _suggestion(key: str) -> str:
    near = near_matches(str(key), KEYS)
    return f" Did you mean {near[0]}?" if near else f" Known are: {', '.join(KEYS)}."
