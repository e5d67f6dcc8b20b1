"""The live pages in the admin: there by themselves as soon as ``jobsaga.live`` is installed."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.urls import include, path


def live_pages(site: AdminSite) -> list[Any]:
    """Their addresses, each behind the door of *site*."""
    if not apps.is_installed("jobsaga.live"):
        return []
    from jobsaga.live.urls import addresses, app_name

    return [path("live/", include((addresses(site.admin_view), app_name)))]
