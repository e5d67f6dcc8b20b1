"""The URL of a broker: what it says, and how to keep the password in it out of sight.

    amqp://user@host:5672/virtual-host?queue_prefix=shop
    amqps://user@host/virtual-host?cacertfile=/etc/ssl/ours.pem

A ``Secret`` is a text whose repr is not its text: it is in no traceback, on no debug page and in no log by
mistake.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

PORTS = {"amqp": 5672, "amqps": 5671}
PREFIX = "jobsaga"
#: Of all names: queues that are declared otherwise would get another.
VERSION = "v1"
OPTIONS = ("queue_prefix", "cacertfile", "certfile", "keyfile", "server_name")
LONGEST_PREFIX = 100
HIDDEN = "'********'"


class Secret(str):
    """A text that is used as it is, and shown as stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


@dataclass(frozen=True)
class BrokerUrl:
    """What an ``amqp://`` or ``amqps://`` URL says."""

    scheme: str
    host: str
    port: int
    username: str
    password: Secret | None
    virtual_host: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def queue_prefix(self) -> str:
        """What the names of the queues begin with."""
        return self.options.get("queue_prefix", PREFIX)

    @property
    def label(self) -> str:
        """Where it is, for people: without user and password."""
        place = f"[{self.host}]" if ":" in self.host else self.host
        return f"{place}:{self.port}" + ("" if self.virtual_host == "/" else f"/{self.virtual_host}")


def parse(url: str) -> BrokerUrl:
    """What *url* says. Raises ValueError, which says what is wrong with it and does not repeat it."""
    found = _parse(url)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def queue_name(prefix: str, endpoint: str) -> str:
    """The name of an endpoint's queue, at a site with this prefix."""
    return f"{prefix}.{VERSION}.{endpoint}"


def ssl_context(url: BrokerUrl) -> ssl.SSLContext | None:
    """How to check the broker's certificate; None without TLS. Raises ValueError, which does not repeat the URL."""
    if url.scheme != "amqps":
        return None
    try:
        context = ssl.create_default_context(cafile=url.options.get("cacertfile"))
        if "certfile" in url.options:
            context.load_cert_chain(url.options["certfile"], url.options.get("keyfile"))
    except OSError as error:
        raise ValueError(f"names a certificate that cannot be read ({error})") from None
    return context


def has_password(url: str) -> bool:
    """Whether a password is part of the URL, where it is easily shown."""
    return ":" in url.partition("://")[2].rpartition("@")[0]


def _parse(url: str) -> BrokerUrl | str:
    """The parts, or what is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has a host or a port that cannot be read"
    if "@" in parts.path + parts.query + parts.fragment:  # then these would be taken for what may be shown
        return (
            "has an @ behind its host: write %2F %3F %23 for / ? # in a password, and %40 for an @ elsewhere"
        )
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        return "must have the form amqp://user@host:port/virtual-host, or amqps://"
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(options) - set(OPTIONS)):
        return f"has the unknown option {unknown[0]!r}; known are {', '.join(OPTIONS)}"
    if not 0 < len(options.get("queue_prefix", PREFIX).encode()) <= LONGEST_PREFIX:
        return f"must have a queue_prefix of 1 to {LONGEST_PREFIX} bytes"
    return _from_parts(parts, options)


def _from_parts(parts: SplitResult, options: dict[str, str]) -> BrokerUrl:
    return BrokerUrl(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or PORTS[parts.scheme],
        username=unquote(parts.username or "guest"),
        password=None if parts.password is None else Secret(unquote(parts.password)),
        virtual_host=unquote(parts.path[1:]) or "/",
        options=options,
    )
