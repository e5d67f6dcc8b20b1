"""What is only appended: the histories, the dead letters; and what waits to be taken: messages, public events."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from jobsaga.models.sagas import choices
from jobsaga.sagas.states import JobStates


class JobHistory(models.Model):
    """One thing that happened to a job: a change of state, a note, or a line the job itself logged."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(
        "jobsaga.JobSaga",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="history",
    )
    attempt_id = models.UUIDField(null=True)
    #: The number of a line in its attempt's own log; null for everything else.
    sequence = models.PositiveIntegerField(null=True)
    job_version = models.PositiveIntegerField(default=0)
    #: Which run of a recurring job it is about; null for a line of a log, whose attempt says it.
    run = models.PositiveIntegerField(null=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=60)
    from_state = models.PositiveSmallIntegerField(choices=choices(JobStates), null=True)
    to_state = models.PositiveSmallIntegerField(choices=choices(JobStates), null=True)
    status = models.CharField(max_length=100, default="", blank=True)
    message = models.TextField(default="", blank=True)
    actor = models.CharField(max_length=200, default="", blank=True)
    data = models.JSONField(null=True)

    class Meta:
        verbose_name = "job history"
        verbose_name_plural = "job history"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["attempt_id", "sequence"], name="jobsaga_log_line")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["at"], name="jobsaga_log_at", condition=Q(sequence__isnull=False)),
            # What people did: few rows among millions.
            models.Index(
                fields=["actor", "id"],
                name="jobsaga_history_actor",
                condition=Q(actor__gt="") & ~Q(kind="JobSubmitted"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind} {self.message}"


class JobTypeHistory(models.Model):
    """What a person asked of a job type or of a worker instance, and what came of it."""

    id = models.BigAutoField(primary_key=True)
    #: Empty for what is about an instance.
    job_type = models.CharField(max_length=200, default="", blank=True)
    instance_id = models.UUIDField(null=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=60)
    message = models.TextField(default="", blank=True)
    actor = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        verbose_name = "job type history"
        verbose_name_plural = "job type history"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["job_type", "id"], name="jobsaga_type_history")
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind} {self.message}"


class TransportMessage(models.Model):
    """A message on its way, for the saga endpoint or one instance. Deleted by whoever handles it."""

    id = models.BigAutoField(primary_key=True)
    endpoint = models.CharField(max_length=60)
    body = models.TextField()
    #: Not before this time; null: at once.
    visible_at = models.DateTimeField(null=True)
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "transport message"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["endpoint", "id"], name="jobsaga_transport_endpoint")
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.id}"


class EventOutbox(models.Model):
    """A public event that the broker has not confirmed yet. Written with what it tells of, deleted by who sent it."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=60)
    job_type = models.CharField(max_length=200)
    #: The whole envelope, as it is sent.
    body = models.TextField()

    class Meta:
        verbose_name = "event to be published"
        verbose_name_plural = "events to be published"

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class RemoteRequest(models.Model):
    """A request that was carried out, by its id: it is not carried out again. Written with what it did."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = "handled request"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["at"], name="jobsaga_request_at")]

    def __str__(self) -> str:
        return str(self.id)


class DeadLetter(models.Model):
    """A message or a deadline that could not be handled, as it was, and why."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    endpoint = models.CharField(max_length=60)
    body = models.TextField()
    reason = models.TextField()
    traceback = models.TextField(default="", blank=True)
    job_id = models.UUIDField(null=True)

    class Meta:
        verbose_name = "dead letter"
        permissions: ClassVar[list[tuple[str, Any]]] = [
            ("replay_dead_letter", "Can hand dead letters in again"),
            ("discard_dead_letter", "Can discard dead letters"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["job_id", "id"], name="jobsaga_dead_job", condition=Q(job_id__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.reason}"
