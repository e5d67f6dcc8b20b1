"""The live pages in the admin: there by themselves as soon as ``jobsaga.live`` is installed."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.urls import include, path, reverse
from django.utils.html import format_html


def live_pages(site: AdminSite) -> list[Any]:
    """Their addresses, each behind the door of *site*."""
    if not apps.is_installed("jobsaga.live"):
        return []
    from jobsaga.live.urls import addresses, app_name

    return [path("live/", include((addresses(site.admin_view), app_name)))]


def live_link(site: AdminSite, name: str, *args: Any) -> str:
    """A link to one of them; empty where they are not."""
    if not apps.is_installed("jobsaga.live"):
        return ""
    return format_html('<a href="{}">Open</a>', reverse(f"{site.name}:jobsaga_live:{name}", args=args))
