"""The tokens of the API in the admin: who has one, what for, when it was used; and the button that revokes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from jobsaga.live.models import ApiToken
from jobsaga.live.tokens import revoke

if TYPE_CHECKING:
    Base = admin.ModelAdmin[ApiToken]
else:
    Base = admin.ModelAdmin


@admin.register(ApiToken)
class ApiTokenAdmin(Base):
    """To look at and to revoke. A token is made by ``manage.py jobsaga_tokens add``, which alone can show it."""

    list_display = (
        "name",
        "user",
        "scopes",
        "job_types",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("user",)
    ordering = ("name",)
    fields = list_display
    readonly_fields = list_display
    actions = ("revoke_tokens",)

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke_tokens(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        """At once, and for ever."""
        self.message_user(request, f"{revoke(rows)} revoked.", messages.SUCCESS)
        for token in rows:
            self.log_change(request, token, "Revoked.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether the user may revoke tokens."""
        return request.user.has_perm("jobsaga_live.revoke_apitoken")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The admin cannot show a token once and never again."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What a token is for is fixed when it is made."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A token that is revoked stays, so that its name in the history can be understood."""
        return False
