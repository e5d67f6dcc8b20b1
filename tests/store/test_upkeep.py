"""A worker's own connections: kept from batch to batch, dropped when they are broken or as old as the site allows."""

from __future__ import annotations

import time

import pytest
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from jobsaga.conf import settings
from jobsaga.store.upkeep import look_after

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> BaseDatabaseWrapper:
    """The connection that jobsaga uses, new, and with Django's default age."""
    connection = connections[settings.DATABASE]
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    connection.close()
    connection.ensure_connection()
    return connection


def test_with_djangos_default_it_is_kept(connection: BaseDatabaseWrapper) -> None:
    raw = connection.connection
    look_after(connection)
    assert connection.connection is raw


def test_an_age_that_the_site_chose_is_kept_to(
    connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60)
    connection.close_at = time.monotonic() + 60
    look_after(connection)
    assert connection.connection is not None
    connection.close_at = time.monotonic() - 1
    look_after(connection)
    assert connection.connection is None


def test_a_broken_one_is_dropped(connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute("SELECT nonsense FROM nowhere")
    look_after(connection)
    assert connection.connection is None


def test_a_transaction_is_left_alone(connection: BaseDatabaseWrapper) -> None:
    with transaction.atomic(using=settings.DATABASE):
        raw = connection.connection
        connection.close_at = time.monotonic() - 1
        look_after(connection)
        assert connection.connection is raw
