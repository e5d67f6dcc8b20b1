"""TLS, a virtual host, and a user who may do what the docs say and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from jobsaga.store.django import DjangoStore
from jobsaga.transport.base import SAGA, instance_endpoint
from jobsaga.transport.rabbitmq.address import Address
from jobsaga.transport.rabbitmq.transport import RabbitMQTransport
from tests.private_broker import PrivateBroker, free_port
from tests.processes import wait_for
from tests.transport.contract import note, reasons

pytestmark = [pytest.mark.rabbitmq, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

PASSWORD = "pass w/ord:@"
TLS = """listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {directory}/cert.pem
ssl_options.certfile = {directory}/cert.pem
ssl_options.keyfile = {directory}/key.pem
"""
CERTIFICATE = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
NAME = ["-addext", "subjectAltName=DNS:localhost"]


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, tls_port: int) -> Iterator[PrivateBroker]:
    directory = tmp_path_factory.mktemp("rabbitmq")
    files = ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"]
    subprocess.run([*CERTIFICATE.split(), *NAME, *files], check=True, capture_output=True)
    broker = PrivateBroker(directory, TLS.format(port=tls_port, directory=directory))
    try:
        broker.start()
        broker.ctl("add_vhost", "shop")
        broker.ctl("add_user", "shop", PASSWORD)
        rights = (r"^shop\.", r"^(shop\..*|amq\.default)$", r"^shop\.")
        broker.ctl("set_permissions", "--vhost", "shop", "shop", *rights)
        yield broker
    finally:
        broker.close()


def certificate(broker: PrivateBroker) -> Path:
    return broker.directory / "cert.pem"


def test_over_tls_in_a_virtual_host_with_the_rights_that_the_docs_name(
    broker: PrivateBroker, tls_port: int
) -> None:
    options = f"queue_prefix=shop&cacertfile={certificate(broker)}"
    transport = RabbitMQTransport(Address(f"amqps://shop@localhost:{tls_port}/shop?{options}", PASSWORD))
    mine = instance_endpoint(UUID(int=7))
    try:
        assert transport.why_unreachable(60) == ""
        transport.take(mine, 1)
        transport.send([(SAGA, note("to the sagas")), (mine, note("to the worker"))])
        assert reasons(wait_for(lambda: transport.take(mine, 1))) == ["to the worker"]
        with DjangoStore().transaction():
            found = transport.receive(SAGA, 1)
        assert reasons(found or wait_for(lambda: transport.take(SAGA, 1))) == ["to the sagas"]
        transport.drop(mine)
    finally:
        transport.close()
    queues = broker.ctl("list_queues", "--vhost", "shop", "name", "type")
    assert "shop.v1.saga\tquorum" in queues
    assert "instance" not in queues


@pytest.mark.parametrize(
    ("url", "password", "said"),
    [
        ("amqps://shop@localhost:{tls}/shop?queue_prefix=shop", PASSWORD, "certificate verify failed"),
        ("amqp://shop@127.0.0.1:{port}/shop?queue_prefix=shop", "wrong", "ACCESS_REFUSED"),
        ("amqp://shop@127.0.0.1:{port}/other", PASSWORD, "other"),
        ("amqp://shop@127.0.0.1:{port}/shop?queue_prefix=another", PASSWORD, "ACCESS_REFUSED"),
    ],
)
def test_what_is_wrong_is_said(
    broker: PrivateBroker, tls_port: int, url: str, password: str, said: str
) -> None:
    transport = RabbitMQTransport(Address(url.format(tls=tls_port, port=broker.port), password))
    try:
        why = transport.why_unreachable(60)
        assert said in why
        assert password not in why
    finally:
        transport.close()
