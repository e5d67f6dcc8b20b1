"""The broker's password is shown nowhere."""

from __future__ import annotations

import logging
from pprint import pformat

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import RequestFactory, override_settings
from django.views.debug import ExceptionReporter

from jobsaga import conf
from jobsaga.broker_url import parse
from jobsaga.conf import settings
from jobsaga.transport import default_transport
from jobsaga.transport.base import SAGA
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.transport import RabbitMQTransport
from tests.transport.contract import note

CANARY = "canary-in-the-mine"
URL = f"amqp://shop:{CANARY}@127.0.0.1:1/"
IN_THE_URL = {"TRANSPORT": URL}
BESIDE_IT = {"TRANSPORT": "amqp://shop@127.0.0.1:1/", "TRANSPORT_PASSWORD": CANARY}
WAYS = pytest.mark.parametrize("given", [IN_THE_URL, BESIDE_IT], ids=["in the URL", "beside it"])


def debug_page(error: BaseException) -> str:
    """What Django shows with DEBUG: the exception, all local variables on the way (but the test's own), and the
    settings.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    assert traceback is not None
    request = RequestFactory().get("/")
    return ExceptionReporter(request, type(error), error, traceback).get_traceback_html()


@WAYS
def test_it_is_used(given: dict[str, str]) -> None:
    with override_settings(JOBSAGA=given):
        transport = default_transport()
        assert transport.address.parameters.credentials.password == CANARY  # type: ignore[attr-defined]


@WAYS
def test_no_repr_shows_it(given: dict[str, str]) -> None:
    with override_settings(JOBSAGA=given):
        transport = default_transport()
        address = transport.address  # type: ignore[attr-defined]
        shown = [transport, address, address.parameters, settings.TRANSPORT, settings.TRANSPORT_PASSWORD]
        assert CANARY not in pformat([*shown, parse(settings.TRANSPORT)])
        assert "127.0.0.1:1" in repr(transport)


MISTAKES = [
    ("DATABASE", {"DATABASE": 1}),
    ("TRANSPORT_PASSWORT", {}),
    ("TRANSPORT_PASSWORD", {"TRANSPORT_PASSWORD": [CANARY]}),
    ("TRANSPORT", {"TRANSPORT": URL.replace(":1/", ":port/")}),
    ("TRANSPORT", {"TRANSPORT": URL + "?heartbeat=1"}),
    ("TRANSPORT", {"TRANSPORT": URL + "?queue_prefix="}),
    ("TRANSPORT", {"TRANSPORT": f"amqp://shop:{CANARY}@/"}),
    ("TRANSPORT", {"TRANSPORT": f"ampq://shop:{CANARY}@rabbit/"}),
    *(("TRANSPORT", {"TRANSPORT": f"amqp://shop:12{mark}{CANARY}@rabbit/"}) for mark in "/?#"),
]


@override_settings(DEBUG=True)
@pytest.mark.parametrize(("key", "wrong"), MISTAKES)
def test_a_mistake_in_the_settings_does_not_show_it(key: str, wrong: dict[str, object]) -> None:
    with override_settings(JOBSAGA={**BESIDE_IT, **wrong}):
        with pytest.raises((ImproperlyConfigured, AttributeError)) as caught:
            getattr(settings, key)
        assert CANARY not in str(caught.value)
        assert all(CANARY not in text for _, text in conf.problems())
        if (
            key != "TRANSPORT"
        ):  # Django lists the settings too, and knows what to hide by the names of the keys
            page = debug_page(caught.value)
            assert "__getattr__" in page
            assert CANARY not in page
        frames = ExceptionReporter(
            None, type(caught.value), caught.value, caught.tb.tb_next
        ).get_traceback_frames()
        assert CANARY not in pformat([frame["vars"] for frame in frames])


@WAYS
@pytest.mark.django_db(transaction=True)
@override_settings(DEBUG=True)
def test_a_broker_that_cannot_be_reached_does_not_show_it(
    given: dict[str, str], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with override_settings(JOBSAGA={**django_settings.JOBSAGA, **given}), caplog.at_level(logging.DEBUG):
        transport = default_transport()
        assert isinstance(transport, RabbitMQTransport)
        assert "refused" in transport.why_unreachable()
        transport.send([(SAGA, note("goes through the rows"))])
        with pytest.raises(SystemExit):
            call_command("jobsaga", "doctor")
        transport.close()
    assert "127.0.0.1:1 cannot be reached" in caplog.text
    shown = "".join(capsys.readouterr())
    assert "127.0.0.1:1" in shown
    assert CANARY not in caplog.text + shown


def test_a_check_warns_of_a_password_in_the_url() -> None:
    ids = {}
    for given in (IN_THE_URL, BESIDE_IT):
        with override_settings(JOBSAGA=given):
            ids[given["TRANSPORT"]] = [
                each.id for each in run_checks(tags=["jobsaga"]) if "W003" in str(each.id)
            ]
            assert all(CANARY not in str(each) for each in run_checks(tags=["jobsaga"]))
    assert list(ids.values()) == [["jobsaga.W003"], []]


def test_the_password_of_everybody_is_told_apart_from_none() -> None:
    """Without any password it is RabbitMQ's own guest, which only this machine may use."""
    assert Address("amqp://127.0.0.1/").parameters.credentials.password == "guest"
