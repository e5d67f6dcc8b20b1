"""Job types, the workers that run them, and the messages on their way to them."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.timezone import localtime

from jobsaga.admin.actions import TYPE_ACTIONS, LimitsForm, SteeringTypes
from jobsaga.admin.base import NOTHING, JobTypeFilter, ReadOnlyAdmin, ReadOnlyInline, pretty, shortened
from jobsaga.models import (
    EventOutbox,
    JobInstance,
    JobTypeHistory,
    JobTypeInstance,
    JobTypeSaga,
    RemoteRequest,
    TransportMessage,
)


def _said(word: str, at: datetime | None, by: str, why: str) -> str:
    """A time, who, and the reason; empty without a time."""
    if at is None:
        return ""
    said = f"{word} {localize(localtime(at))}" + (f" by {by}" if by else "")
    return f"{said}: {why}" if why else said


class TypeInline(ReadOnlyInline):
    """The types that a worker runs."""

    model = JobTypeInstance
    ordering = ("job_type",)
    fields = ("job_type", "concurrent_job_limit", "used_at", "properties_text")
    properties_text = pretty("properties")
    show_change_link = False


@admin.register(JobTypeSaga)
class JobTypeAdmin(SteeringTypes, ReadOnlyAdmin):
    """The job types that a worker has announced; whether they are paused or have other limits for a while."""

    list_display = ("name", "state", "per_worker", "in_all", "paused", "other_limits")
    actions = TYPE_ACTIONS
    action_form = LimitsForm
    list_filter = ("state",)
    ordering = ("name",)
    search_ids = ("id",)
    search_texts = ("name",)
    search_help_text = "The whole name of a job type"
    fields = (
        "id", "name", "state", "concurrent_job_limit", "global_concurrent_job_limit", "paused", "other_limits",
        "properties_text",
    )  # fmt: skip
    properties_text = pretty("properties")

    @admin.display(description="per worker", ordering="concurrent_job_limit")
    def per_worker(self, job_type: JobTypeSaga) -> int:
        """As its consumer says; the column's whole name takes the place of others."""
        return job_type.concurrent_job_limit

    @admin.display(description="in all", ordering="global_concurrent_job_limit", empty_value=NOTHING)
    def in_all(self, job_type: JobTypeSaga) -> int | None:
        """As its consumer says."""
        return job_type.global_concurrent_job_limit

    @admin.display(description="paused", empty_value=NOTHING)
    def paused(self, job_type: JobTypeSaga) -> str:
        """Since when, by whom and why."""
        return _said("since", job_type.paused_at, job_type.paused_by, job_type.pause_reason)

    @admin.display(description="other limits", empty_value=NOTHING)
    def other_limits(self, job_type: JobTypeSaga) -> str:
        """Which, until when, by whom and why."""
        limits = ((job_type.override_job_limit, "per worker"), (job_type.override_global_limit, "in all"))
        named = ", ".join(f"{limit} {what}" for limit, what in limits if limit is not None)
        said = _said("until", job_type.due_at, job_type.override_by, job_type.override_reason)
        return f"{named} {said}" if named else ""


@admin.register(JobTypeHistory)
class JobTypeHistoryAdmin(ReadOnlyAdmin):
    """What people asked of job types and workers, the newest first."""

    list_display = ("at", "kind", "job_type", "instance_id", "said", "actor")
    list_filter = (JobTypeFilter,)
    search_ids = ("instance_id",)
    search_texts = ("job_type",)
    search_help_text = "The whole id of a worker, or the name of a job type"
    fields = ("at", "kind", "job_type", "instance_id", "message_text", "actor")
    message_text, said = pretty("message"), shortened("message")


@admin.register(JobInstance)
class JobInstanceAdmin(ReadOnlyAdmin):
    """The workers, the one that was heard of last first."""

    list_display = ("id", "host", "pid", "state", "version", "started_at", "lease_expires_at")
    list_filter = ("state",)
    ordering = ("-lease_expires_at",)
    search_ids = ("id",)
    search_texts = ("host",)
    search_help_text = "The whole id of a worker, or the name of its host"
    inlines = (TypeInline,)
    fields = ("id", "host", "pid", "state", "version", "started_at", "lease_expires_at", "properties_text")
    properties_text = pretty("properties")


@admin.register(JobTypeInstance)
class JobTypeInstanceAdmin(ReadOnlyAdmin):
    """Which worker runs which types."""

    list_display = ("job_type", "instance_link", "concurrent_job_limit", "used_at")
    list_filter = (JobTypeFilter,)
    search_ids = ("instance_id",)
    search_help_text = "The whole id of a worker"
    fields = ("job_type", "instance_link", "concurrent_job_limit", "used_at", "properties_text")
    properties_text = pretty("properties")

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobTypeInstance]:
        """With their instances, in the same query."""
        return super().get_queryset(request).select_related("instance")


@admin.register(TransportMessage)
class TransportMessageAdmin(ReadOnlyAdmin):
    """The messages on their way, the newest first."""

    list_display = ("id", "endpoint", "tries", "visible_at")
    search_texts = ("endpoint",)
    search_help_text = "The whole name of an endpoint"
    fields = ("id", "endpoint", "tries", "visible_at", "body_text")
    payload = ("body_text",)
    body_text = pretty("body")


@admin.register(EventOutbox)
class EventOutboxAdmin(ReadOnlyAdmin):
    """The public events that the broker has not confirmed yet, the newest first."""

    list_display = ("id", "kind", "job_type", "at")
    search_texts = ("job_type",)
    search_help_text = "The whole name of a job type"
    fields = ("id", "event_id", "kind", "job_type", "at", "body_text")
    payload = ("body_text",)
    body_text = pretty("body")


@admin.register(RemoteRequest)
class RemoteRequestAdmin(ReadOnlyAdmin):
    """The requests of other services that were carried out, and are not again."""

    list_display = ("id", "at")
    search_ids = ("id",)
    search_help_text = "The whole id of a request"
    fields = ("id", "at")
