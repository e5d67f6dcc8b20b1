"""Tokens of the API. They live where the site's users do; what jobs are is in ``jobsaga.models``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from jobsaga.live import access

#: What a token is for, and which of its user's permissions it has by that.
SCOPES: dict[str, frozenset[str]] = {
    "read": frozenset({access.VIEW, access.PAYLOAD}),
    "submit": frozenset({"jobsaga.submit_job"}),
    "steer": frozenset(
        {
            "jobsaga.cancel_job", "jobsaga.retry_job", "jobsaga.run_job", "jobsaga.finalize_job",
            "jobsaga.pause_job_type", "jobsaga.limit_job_type",
        }
    ),
}  # fmt: skip


class ApiToken(models.Model):
    """Lets a program use the API in a user's name, with some of that user's rights. Only its hash is stored."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobsaga_tokens"
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    job_types = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "API token"
        default_permissions = ("view",)
        permissions: ClassVar[list[tuple[str, Any]]] = [("revoke_apitoken", "Can revoke API tokens")]

    def __str__(self) -> str:
        return self.name

    @property
    def types(self) -> tuple[str, ...]:
        """The job types that it is for, by name or by how they begin (``videos.*``); none: all."""
        return tuple(self.job_types)

    def allows(self, permission: str) -> bool:
        """Whether it may be used for this, if its user may do it."""
        return any(permission in SCOPES.get(each, ()) for each in self.scopes)

    def is_valid(self, now: datetime) -> bool:
        """Whether nobody has revoked it, and it has not expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
