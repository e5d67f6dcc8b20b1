"""The three sagas, and the checkpoint that is a job's fence.

No foreign key here reaches the database: a client's insert must lock no one else's row, and the history
of a job outlives it. Columns that change often are in no index but the partial ones; on MariaDB and
MySQL, which know no partial index, the leading column makes it a plain one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from jobsaga.models.fields import ExactCharField
from jobsaga.models.indexes import PartialIndex
from jobsaga.sagas.states import AttemptStates, JobStates, JobTypeStates, State


def choices(states: type[State]) -> list[tuple[int, str]]:
    """A state's integer and its name in MassTransit's spelling."""
    return [(state.value, state.label) for state in states]


class JobSaga(models.Model):
    """A job, from submission to its end."""

    id = models.UUIDField(primary_key=True)
    job_type = models.CharField(max_length=200)
    state = models.PositiveSmallIntegerField(choices=choices(JobStates))
    version = models.PositiveIntegerField(default=0)
    message = models.JSONField(null=True)
    message_version = models.PositiveIntegerField(default=1)
    properties = models.JSONField(default=dict)
    headers = models.JSONField(default=dict)
    submitted_at = models.DateTimeField()
    submitted_by = models.CharField(max_length=200, default="", blank=True)
    priority = models.IntegerField(default=0)
    queued_at = models.DateTimeField(null=True)
    attempt_id = models.UUIDField(null=True)
    slot = models.UUIDField(null=True)
    run = models.PositiveIntegerField(default=1)
    scheduled_for = models.DateTimeField(null=True)
    concurrency_key = ExactCharField(max_length=200, default="", blank=True)
    title = models.CharField(max_length=200, default="", blank=True)
    recurring = models.BooleanField(default=False)
    recurring_name = models.CharField(max_length=200, default="", blank=True)
    cron = models.CharField(max_length=250, default="", blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    start_at = models.DateTimeField(null=True)
    end_at = models.DateTimeField(null=True)
    misfire = models.CharField(max_length=10, default="run_once")
    declared = models.BooleanField(default=False)
    next_start_at = models.DateTimeField(null=True)
    retry_attempt = models.PositiveIntegerField(default=0)
    policy_retries = models.PositiveIntegerField(default=0)
    suspect_retries = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    faulted_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    reason = models.TextField(default="", blank=True)
    fault = models.JSONField(null=True)
    result = models.JSONField(null=True)
    progress_value = models.FloatField(null=True)
    progress_limit = models.FloatField(null=True)
    progress_message = models.TextField(default="", blank=True)
    progress_sequence = models.PositiveBigIntegerField(default=0)
    progress_at = models.DateTimeField(null=True)
    progress_samples = models.JSONField(default=list)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.CharField(max_length=200, default="", blank=True)
    cancel_reason = models.TextField(default="", blank=True)
    cancellation_timeout = models.FloatField(null=True)
    due_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "job"
        permissions: ClassVar[list[tuple[str, Any]]] = [
            ("submit_job", "Can submit jobs"),
            ("cancel_job", "Can cancel jobs"),
            ("retry_job", "Can retry jobs"),
            ("run_job", "Can run scheduled jobs now"),
            ("finalize_job", "Can remove ended jobs"),
            ("view_job_payload", "Can see what jobs were given, saved and returned"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            PartialIndex(
                fields=["state", "job_type", "-priority", "queued_at", "id"],
                name="jobsaga_job_waiting",
                condition=Q(state=JobStates.WAITING_FOR_SLOT.value),
            ),
            PartialIndex(
                fields=["state", "job_type", "concurrency_key", "-priority", "queued_at", "id"],
                name="jobsaga_job_key",
                condition=Q(state=JobStates.WAITING_FOR_SLOT.value),
            ),
            models.Index(fields=["due_at"], name="jobsaga_job_due", condition=Q(due_at__isnull=False)),
            # The few that failed and try again, among many that are due.
            PartialIndex(
                fields=["state", "faulted_at", "id"],
                name="jobsaga_job_retry",
                condition=Q(state=JobStates.WAITING_TO_RETRY.value),
            ),
            models.Index(
                fields=["finished_at"], name="jobsaga_job_done", condition=Q(finished_at__isnull=False)
            ),
            # What people look for: the last that ended in a state, the last of a type.
            models.Index(
                fields=["state", "finished_at"],
                name="jobsaga_job_ended",
                condition=Q(finished_at__isnull=False),
            ),
            models.Index(fields=["job_type", "id"], name="jobsaga_job_type"),
            models.Index(
                fields=["recurring_name", "job_type"],
                name="jobsaga_job_recurring",
                condition=~Q(recurring_name=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_type} {self.id}"


class JobAttemptSaga(models.Model):
    """One try to run a job on one instance. Kept as long as its job."""

    id = models.UUIDField(primary_key=True)
    job = models.ForeignKey(
        JobSaga,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="attempts",
    )
    job_type = models.CharField(max_length=200)
    state = models.PositiveSmallIntegerField(choices=choices(AttemptStates))
    instance = models.ForeignKey(
        "jobsaga.JobInstance",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="attempts",
    )
    run = models.PositiveIntegerField(default=1)
    retry_attempt = models.PositiveIntegerField(default=0)
    scheduled_for = models.DateTimeField(null=True)
    holds_slot = models.BooleanField(default=False)
    concurrency_key = ExactCharField(max_length=200, default="", blank=True)
    given_up = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    received_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    outcome = models.CharField(max_length=20, default="", blank=True)
    reason = models.TextField(default="", blank=True)
    fault = models.JSONField(null=True)
    result = models.JSONField(null=True)
    due_at = models.DateTimeField(null=True)
    suspect_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "job attempt"
        indexes: ClassVar[list[models.Index]] = [
            PartialIndex(
                fields=["holds_slot", "job_type", "instance", "concurrency_key"],
                name="jobsaga_attempt_slot",
                condition=Q(holds_slot=True),
            ),
            models.Index(fields=["due_at"], name="jobsaga_attempt_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["job", "created_at"], name="jobsaga_attempt_job"),
        ]

    def __str__(self) -> str:
        return f"{self.job_type} {self.id}"


class JobTypeSaga(models.Model):
    """All jobs of one message type: their limits, and whether one of them holds a slot."""

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=200, unique=True)
    state = models.PositiveSmallIntegerField(choices=choices(JobTypeStates))
    concurrent_job_limit = models.PositiveIntegerField(default=1)
    global_concurrent_job_limit = models.PositiveIntegerField(null=True)
    #: How many of one concurrency key run at a time; null: keys mean nothing.
    concurrency_per_key = models.PositiveIntegerField(null=True)
    properties = models.JSONField(default=dict)
    override_job_limit = models.PositiveIntegerField(null=True)
    override_global_limit = models.PositiveIntegerField(null=True)
    override_at = models.DateTimeField(null=True)
    override_by = models.CharField(max_length=200, default="", blank=True)
    override_reason = models.TextField(default="", blank=True)
    #: When the override ends.
    due_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=200, default="", blank=True)
    pause_reason = models.TextField(default="", blank=True)

    class Meta:
        verbose_name = "job type"
        permissions: ClassVar[list[tuple[str, Any]]] = [
            ("limit_job_type", "Can change the limits of job types"),
            ("pause_job_type", "Can pause and resume job types"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["due_at"], name="jobsaga_type_due", condition=Q(due_at__isnull=False))
        ]

    def __str__(self) -> str:
        return self.name


class JobCheckpoint(models.Model):
    """What a job saved, and the one attempt that may save: an update by any other matches no row."""

    job = models.OneToOneField(
        JobSaga,
        primary_key=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="checkpoint",
    )
    attempt_id = models.UUIDField(null=True)
    run = models.PositiveIntegerField(default=1)
    state: Any = models.JSONField(null=True)
    advanced_by = models.UUIDField(null=True)

    class Meta:
        verbose_name = "job checkpoint"

    def __str__(self) -> str:
        return str(self.pk)
