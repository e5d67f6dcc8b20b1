"""jobsaga as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobSagaConfig(AppConfig):
    """Loads the job consumers of all installed apps, as the admin loads theirs."""

    name = "jobsaga"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, then import the jobs modules."""
        from jobsaga import checks  # noqa: F401 - importing it registers the checks
        from jobsaga.conf import settings

        autodiscover_modules(settings.AUTODISCOVER_MODULE)
