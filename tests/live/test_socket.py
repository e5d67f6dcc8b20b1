"""The socket's door: who is let in, what may be said, and when it is closed again. With a real server and client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from jobsaga.conf import settings
from jobsaga.live.consumers import NOT_KNOWN, LiveConsumer
from jobsaga.live.tail import newest
from tests.engine.places import DatabasePlace
from tests.engine.world import World
from tests.live.browsing import Server, session_of, superuser
from tests.live.test_tail import happen

pytestmark = [
    pytest.mark.process,
    pytest.mark.django_db(transaction=True, databases=list(site_settings.DATABASES)),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Server]:
    server = Server.start(tmp_path_factory.mktemp("server"), JOBSAGA_TEST_CHECK_EVERY="0.2")
    yield server
    server.stop()
    print(server.process.log())


def knock(server: Server, user: Any = None, origin: str | None = "") -> ClientConnection:
    """Open a socket as this user, from a page of this origin (the site's own unless another is given)."""
    cookie = session_of(user, server) if user else None
    headers = {"Cookie": f"{cookie['name']}={cookie['value']}"} if cookie else {}
    address = f"ws://127.0.0.1:{server.port}/ws/jobsaga/"
    return connect(address, origin=server.url if origin == "" else origin, additional_headers=headers)  # type: ignore[arg-type]


def hear(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of this kind."""
    while True:
        said: dict[str, Any] = json.loads(socket.recv(timeout=10))
        if said["t"] == kind:
            return said


def viewer() -> Any:
    user = get_user_model().objects.create_user("viv", password="x")
    user.user_permissions.set(Permission.objects.filter(codename="view_jobsaga"))
    return user


def test_who_is_let_in(server: Server, transactional_db: None) -> None:
    stranger = get_user_model().objects.create_user("stranger", password="x")
    for user in (None, stranger):
        with pytest.raises(InvalidStatus) as refused:
            knock(server, user)
        assert refused.value.response.status_code == 403
    with knock(server, viewer()) as socket:
        socket.send(json.dumps({"watch": [], "after": 0}))
        hear(socket, "hello")


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1.evil.example", "null", None])
def test_a_page_of_another_site_is_refused(
    server: Server, transactional_db: None, origin: str | None
) -> None:
    user = superuser()
    with pytest.raises(InvalidStatus) as refused:
        knock(server, user, origin=origin)
    assert refused.value.response.status_code == 403


NO_SUBSCRIPTION = [
    "", "{", "[]", "null", '{"watch": ["x"], "after": 0}', '{"watch": [], "after": "soon"}',
    '{"watch": 5, "after": 1}', '{"cancel": "all"}', "x" * 30_000, '{"watch": [], "after": 1e999}', "[" * 15_000,
]  # fmt: skip


@pytest.mark.parametrize("said", NO_SUBSCRIPTION, ids=range(len(NO_SUBSCRIPTION)))
def test_what_is_no_subscription_closes_it(server: Server, transactional_db: None, said: str) -> None:
    with knock(server, superuser()) as socket:
        socket.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            hear(socket, "never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400


def test_a_page_is_told_what_came_after_it_was_made_and_comes_since(
    server: Server, transactional_db: None
) -> None:
    world = World(DatabasePlace(None))
    job_id = world.submit()
    with knock(server, superuser()) as socket:
        socket.send(json.dumps({"watch": [str(job_id)], "after": 0}))
        hear(socket, "changed")
        worker = world.worker()
        (start,) = worker.receive()
        worker.started(start)
        world.lap()
        while "Running" not in str(patch := hear(socket, "patch")["jobs"]):
            pass
        worker.progress(start, 1, limit=2)
        world.lap()
        while "1 / 2" not in str(patch):
            patch = hear(socket, "patch")["jobs"]


def test_a_page_is_told_of_a_lower_number_that_came_just_before_it_joined(
    server: Server, transactional_db: None
) -> None:
    """The page was made when only the higher number was there, and knows up to that one."""
    user = superuser()
    happen()
    last = newest(settings.DATABASE)
    with knock(server, user) as other:
        other.send(json.dumps({"watch": [], "after": last}))
        hear(other, "hello")
        for number in (last + 2, last + 1):
            happen(number)
            while hear(other, "changed").get("cursor") != last + 2:
                pass
        with knock(server, user) as socket:
            socket.send(json.dumps({"watch": [], "after": last + 2}))
            hear(socket, "changed")
            hear(socket, "hello")
            socket.send(json.dumps({"watch": [], "after": last + 2}))
            assert json.loads(socket.recv(timeout=10))["t"] == "hello", "once is enough"


def test_who_cannot_be_asked_for_is_let_go_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database was away when the right was looked at again, nobody looks on unasked."""
    consumer, closed = LiveConsumer(), []
    consumer.check_every = 0.0

    async def away() -> bool:
        raise OperationalError("the database is away")

    async def close(code: int) -> None:
        closed.append(code)

    monkeypatch.setattr(consumer, "_may_see", away)
    monkeypatch.setattr(consumer, "close", close)
    asyncio.run(consumer._check())
    assert closed == [NOT_KNOWN]
    assert not 4000 <= NOT_KNOWN < 5000, "the page's script comes back after any other code"


@pytest.mark.parametrize("way", ["right", "active", "session"])
def test_it_is_closed_when_the_right_is_withdrawn(server: Server, transactional_db: None, way: str) -> None:
    user = viewer()
    with knock(server, user) as socket:
        socket.send(json.dumps({"watch": [str(uuid4())], "after": 0}))
        hear(socket, "hello")
        if way == "right":
            user.user_permissions.clear()
        elif way == "active":
            get_user_model().objects.filter(pk=user.pk).update(is_active=False)
        else:
            from django.contrib.sessions.models import Session

            Session.objects.all().delete()
        with pytest.raises(ConnectionClosed) as closed:
            hear(socket, "never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403
