"""Who looks at the pages, and at what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

#: All aliases: users are in the default database, jobs may be in another.
EVERYWHERE = pytest.mark.django_db(databases=list(site_settings.DATABASES))

Someone = Callable[..., Client]


@pytest.fixture
def client(db: None) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ada", password="x"))
    return client


@pytest.fixture
def someone(db: None) -> Someone:
    """``someone("view_jobsaga", ...)``: the browser of a user with just these permissions."""

    def make(*codenames: str, **fields: Any) -> Client:
        users = get_user_model().objects
        user = users.create_user(f"user{users.count()}", password="x", **fields)
        permissions = Permission.objects.filter(content_type__app_label="jobsaga", codename__in=codenames)
        assert len(permissions) == len(codenames), codenames
        user.user_permissions.set(permissions)
        client = Client()
        client.force_login(user)
        return client

    return make
