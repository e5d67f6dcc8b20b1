"""The pages as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class JobSagaLiveConfig(AppConfig):
    """Templates, static files and views; no model of its own."""

    name = "jobsaga.live"
    label = "jobsaga_live"
    verbose_name = "Jobs, live"
