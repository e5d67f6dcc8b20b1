"""The pages as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class JobSagaLiveConfig(AppConfig):
    """Templates, static files and views; its one model is the API's tokens."""

    name = "jobsaga.live"
    label = "jobsaga_live"
    verbose_name = "Jobs, live"
    default_auto_field = "django.db.models.BigAutoField"
