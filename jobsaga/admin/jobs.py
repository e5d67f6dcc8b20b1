"""Jobs, their attempts, what they saved, and what happened to them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from jobsaga.admin.actions import LETTER_ACTIONS, ReasonForm, SettlingLetters, Steering, list_action
from jobsaga.admin.base import (
    LOOKED_THROUGH,
    NOTHING,
    JobTypeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    pretty,
    shortened,
)
from jobsaga.admin.mount import live_link, live_pages
from jobsaga.conf import settings
from jobsaga.live.actions import ACTIONS
from jobsaga.live.queries.jobs import with_workers
from jobsaga.live.wording import short
from jobsaga.models import DeadLetter, JobAttemptSaga, JobCheckpoint, JobHistory, JobSaga
from jobsaga.sagas.states import STORED_JOB_STATES


class StateFilter(admin.SimpleListFilter):
    """By the states in which a job can be stored."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Their integers and their names."""
        return [(str(state.value), state.label) for state in STORED_JOB_STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The jobs in the chosen state."""
        known = {str(state.value) for state in STORED_JOB_STATES}
        return queryset.filter(state=self.value()) if self.value() in known else queryset


class AttemptInline(ReadOnlyInline):
    """The tries of a job."""

    model = JobAttemptSaga
    fk_name = "job"
    ordering = ("-id",)
    fields = ("state", "retry_attempt", "instance_link", "started_at", "duration", "outcome", "reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With their instances, in the same query."""
        return super().get_queryset(request).select_related("instance")


class HistoryInline(ReadOnlyInline):
    """What happened to a job."""

    model = JobHistory
    fk_name = "job"
    ordering = ("-id",)
    fields = ("at", "kind", "to_state", "status", "message", "actor", "data_text")
    payload = ("data_text",)
    data_text = pretty("data")
    show_change_link = False


class JobList(ChangeList):
    """A page of jobs, each with the worker that runs it."""

    def get_results(self, request: HttpRequest) -> None:
        """With the workers of all of them in one statement more."""
        super().get_results(request)
        self.result_list = with_workers(settings.DATABASE, list(self.result_list))


@admin.register(JobSaga)
class JobAdmin(Steering, ReadOnlyAdmin):
    """The jobs, the newest first: their ids begin with the time."""

    list_display = (
        "short_id", "job_type", "title", "state", "progress", "worker", "retry_attempt", "submitted_at", "finished_at",
        "duration", "why",
    )  # fmt: skip
    actions = tuple(map(list_action, ACTIONS.values()))
    action_form = ReasonForm
    list_filter = (StateFilter, JobTypeFilter, "finished_at")
    search_ids = ("id",)
    search_parts_of_ids = True
    search_help_text = f"The id of a job; of the newest {LOOKED_THROUGH:,} also its first or last digits"
    inlines = (AttemptInline, HistoryInline)
    fieldsets = (
        (None, {"fields": (
            "id", "live_page", "job_type", "title", "state", "reason", "progress", "progress_message", "message_text",
            "properties_text", "result_text", "fault_text", "saved_state",
        )}),
        ("Times", {"fields": (
            "submitted_at", "queued_at", "started_at", "completed_at", "faulted_at", "finished_at", "duration",
            "due_at", "scheduled_for", "progress_at",
        )}),
        ("Retries", {"fields": ("run", "retry_attempt", "policy_retries", "suspect_retries")}),
        ("Cancellation", {"fields": (
            "cancel_requested_at", "cancel_requested_by", "cancel_reason", "cancellation_timeout",
        )}),
        ("More", {"classes": ("collapse",), "fields": (
            "submitted_by", "priority", "attempt_id", "slot", "version", "message_version",
            "progress_sequence", "headers_text",
        )}),
    )  # fmt: skip
    payload = ("message_text", "properties_text", "result_text", "saved_state", "headers_text")
    message_text, properties_text = pretty("message"), pretty("properties")

    def get_urls(self) -> list[Any]:
        """The live pages too, where their app is installed."""
        return [*live_pages(self.admin_site), *super().get_urls()]

    result_text, headers_text, why = pretty("result"), pretty("headers"), shortened("reason")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Ours, which knows the workers."""
        return JobList

    @admin.display(description="id", ordering="id")
    def short_id(self, job: JobSaga) -> str:
        """Its last digits, as on the live pages: the first are those of the time. The whole id breaks every row."""
        return format_html('<span title="{}">{}</span>', job.pk, short(job.pk))

    @admin.display(description="worker", empty_value=NOTHING)
    def worker(self, job: JobSaga) -> str:
        """Where the job runs now."""
        return getattr(job, "worker", "")

    @admin.display(description="progress")
    def progress(self, job: JobSaga) -> str:
        """How far a job is: a bar where the limit is known."""
        if job.progress_value is None:
            return NOTHING
        if not job.progress_limit:
            return f"{job.progress_value:,.10g}"
        said = f"{job.progress_value:,.10g} of {job.progress_limit:,.10g}"
        part = max(0.0, min(1.0, job.progress_value / job.progress_limit))
        return format_html(
            '<progress max="1000" value="{}" aria-label="Progress"></progress> {}', round(part * 1000), said
        )

    @admin.display(description="live page")
    def live_page(self, job: JobSaga) -> str:
        """The way to the job's live page."""
        return live_link(self.admin_site, "job", job.pk) or NOTHING

    @admin.display(description="saved state")
    def saved_state(self, job: JobSaga) -> str:
        """What the job saved last."""
        try:
            return pretty("state")(self, job.checkpoint)
        except ObjectDoesNotExist:
            return NOTHING


@admin.register(JobAttemptSaga)
class JobAttemptAdmin(ReadOnlyAdmin):
    """The tries of all jobs."""

    list_display = (
        "id", "job_type", "state", "retry_attempt", "created_at", "duration", "outcome", "holds_slot"
    )  # fmt: skip
    list_filter = ("holds_slot", JobTypeFilter)
    search_ids = ("id", "job_id")
    search_help_text = "The whole id of an attempt or a job"
    fields = (
        "id", "job_link", "job_type", "state", "instance_link", "run", "retry_attempt", "scheduled_for",
        "holds_slot", "given_up", "created_at", "received_at", "started_at", "ended_at", "duration", "outcome",
        "reason", "fault_text", "result_text", "due_at",
    )  # fmt: skip
    payload = ("result_text",)
    result_text = pretty("result")


@admin.register(JobCheckpoint)
class JobCheckpointAdmin(ReadOnlyAdmin):
    """What jobs saved, and which attempt may save."""

    list_display = ("job_link", "attempt_id")
    list_display_links = ("attempt_id",)
    search_ids = ("job_id",)
    search_help_text = "The whole id of a job"
    fields = ("job_link", "attempt_id", "advanced_by", "state_text")
    payload = ("state_text",)
    state_text = pretty("state")


@admin.register(JobHistory)
class JobHistoryAdmin(ReadOnlyAdmin):
    """Everything that happened, the newest first."""

    list_display = ("at", "kind", "job_link", "from_state", "to_state", "status", "said", "actor")
    search_ids = ("job_id", "attempt_id")
    search_help_text = "The whole id of a job or an attempt"
    fields = (
        "at", "kind", "job_link", "attempt_id", "sequence", "job_version", "from_state", "to_state", "status",
        "message_text", "actor", "data_text",
    )  # fmt: skip
    payload = ("data_text",)
    message_text, data_text, said = pretty("message"), pretty("data"), shortened("message")


@admin.register(DeadLetter)
class DeadLetterAdmin(SettlingLetters, ReadOnlyAdmin):
    """What could not be handled, and why."""

    actions = LETTER_ACTIONS
    action_form = ReasonForm
    list_display = ("at", "endpoint", "why", "job_id")
    search_ids = ("job_id",)
    search_help_text = "The whole id of a job"
    fields = ("at", "endpoint", "job_id", "reason", "body_text", "traceback_text")
    payload = ("body_text",)
    body_text, traceback_text, why = pretty("body"), pretty("traceback"), shortened("reason")
