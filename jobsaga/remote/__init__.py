"""For services that know nothing of Django: submit jobs to a site and steer them, over its RabbitMQ.

    from jobsaga.remote import JobClient

    with JobClient("amqp://shop@rabbit.example.com/shop", password=...) as client:
        job_id = client.submit_job("ConvertVideo", {"path": "/media/cat.mov"})
        print(client.get_job_state(job_id).current_state)

Needs pika and msgspec, and neither Django nor its settings: nothing in this package imports them. ``contract`` is
what is said, ``client`` says it, ``line`` carries it; ``python -m jobsaga.remote`` says it from a shell.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobsaga.remote.client import JobClient as JobClient
    from jobsaga.remote.contract import JobState as JobState
    from jobsaga.remote.errors import RemoteError as RemoteError
    from jobsaga.remote.errors import RemoteFault as RemoteFault
    from jobsaga.remote.errors import RemoteTimeout as RemoteTimeout
    from jobsaga.remote.errors import RemoteUnavailable as RemoteUnavailable

_HOME_OF = {
    "JobClient": "client",
    "JobState": "contract",
    "RemoteError": "errors",
    "RemoteFault": "errors",
    "RemoteTimeout": "errors",
    "RemoteUnavailable": "errors",
}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - the table is the list


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jobsaga.remote' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"jobsaga.remote.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
