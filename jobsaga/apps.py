"""jobsaga as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class JobSagaConfig(AppConfig):
    """Loads the job consumers of all installed apps, as the admin loads theirs."""

    name = "jobsaga"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks and what follows a migrate, then import the jobs modules."""
        from jobsaga import checks  # noqa: F401 - importing it registers the checks
        from jobsaga.client.declared import sync_after_migrate
        from jobsaga.conf import settings
        from jobsaga.desk.beside import desk_beside
        from jobsaga.engine.companions import companions

        if desk_beside not in companions:
            companions.append(desk_beside)
        post_migrate.connect(sync_after_migrate, sender=self, dispatch_uid="jobsaga.recurring")

        autodiscover_modules(settings.AUTODISCOVER_MODULE)
