"""The life-cycle signals know their senders by name, whichever string object the name is."""

from __future__ import annotations

from typing import Any

import pytest

from jobsaga.signals import JobSignal


def fresh(name: str) -> str:
    """The same name in another object, as a database gives it."""
    return "".join(list(name))


@pytest.fixture
def signal() -> JobSignal:
    return JobSignal()


@pytest.fixture
def heard(signal: JobSignal) -> list[Any]:
    seen: list[Any] = []

    def receiver(sender: str, **content: Any) -> None:
        seen.append((sender, content["number"]))

    signal.connect(receiver, sender=fresh("videos.Convert"), weak=False, dispatch_uid="receiver")
    return seen


@pytest.mark.parametrize("send", ["send", "send_robust"])
def test_a_receiver_hears_its_sender_and_no_other(signal: JobSignal, heard: list[Any], send: str) -> None:
    getattr(signal, send)(sender=fresh("videos.Convert"), number=1)
    getattr(signal, send)(sender=fresh("videos.Other"), number=2)
    assert heard == [("videos.Convert", 1)]


def test_who_listens_is_known_by_name(signal: JobSignal, heard: list[Any]) -> None:
    assert signal.has_listeners(fresh("videos.Convert"))
    assert not signal.has_listeners(fresh("videos.Other"))


def test_a_receiver_can_leave(signal: JobSignal, heard: list[Any]) -> None:
    assert signal.disconnect(sender=fresh("videos.Convert"), dispatch_uid="receiver")
    signal.send(sender="videos.Convert", number=1)
    assert heard == []


def test_a_receiver_of_all_hears_all(signal: JobSignal) -> None:
    seen: list[str] = []

    def receiver(sender: str, **content: Any) -> None:
        seen.append(sender)

    signal.connect(receiver)
    for name in ("videos.Convert", "videos.Other"):
        signal.send(sender=name)
    assert seen == ["videos.Convert", "videos.Other"]
