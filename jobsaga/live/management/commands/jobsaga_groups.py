"""``manage.py jobsaga_groups``: three groups that fit most sites."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

VIEWS = (
    "view_jobsaga", "view_jobattemptsaga", "view_jobhistory", "view_jobtypesaga", "view_jobtypehistory",
    "view_jobinstance", "view_jobtypeinstance",
)  # fmt: skip
STEERS = ("submit_job", "cancel_job", "retry_job", "run_job", "view_job_payload", "view_jobcheckpoint")
RULES = (
    "finalize_job", "limit_job_type", "pause_job_type", "view_deadletter", "replay_dead_letter",
    "discard_dead_letter", "view_transportmessage",
)  # fmt: skip
GROUPS = {
    "Jobs: viewer": VIEWS,
    "Jobs: operator": VIEWS + STEERS,
    "Jobs: admin": VIEWS + STEERS + RULES,
}


class Command(BaseCommand):
    """Makes the groups, or gives those that are there what they lack. Nothing is taken away."""

    help = "Make the groups 'Jobs: viewer', 'Jobs: operator' and 'Jobs: admin', or complete them."

    def handle(self, *args: Any, **options: Any) -> None:
        """All or none."""
        with transaction.atomic():
            for name, codenames in GROUPS.items():
                group, made = Group.objects.get_or_create(name=name)
                found = Permission.objects.filter(content_type__app_label="jobsaga", codename__in=codenames)
                if missing := set(codenames) - {each.codename for each in found}:
                    raise CommandError(f"There is no permission {min(missing)}: run manage.py migrate first.")
                before = group.permissions.count()
                group.permissions.add(*found)
                added = group.permissions.count() - before
                state = "made" if made else f"completed by {added}" if added else "complete already"
                self.stdout.write(f"{name}: {state}")
