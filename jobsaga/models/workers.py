"""The worker processes, and which job types each can run."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class InstanceState(models.IntegerChoices):
    """What an instance says of itself. Whether it lives is a matter of its lease."""

    RUNNING = 1, "Running"
    STOPPING = 2, "Stopping"
    STOPPED = 3, "Stopped"


class JobInstance(models.Model):
    """One worker process, from its start to its end; it comes back as another row."""

    id = models.UUIDField(primary_key=True)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=50, default="", blank=True)
    state = models.PositiveSmallIntegerField(choices=InstanceState.choices, default=InstanceState.RUNNING)
    started_at = models.DateTimeField()
    lease_expires_at = models.DateTimeField(db_index=True)
    properties = models.JSONField(default=dict)
    #: Since when it is given no more jobs, because a person asked for that; null: it is.
    drained_at = models.DateTimeField(null=True)
    drained_by = models.CharField(max_length=200, default="", blank=True)
    drain_reason = models.TextField(default="", blank=True)

    class Meta:
        verbose_name = "worker instance"

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class JobTypeInstance(models.Model):
    """One job type on one instance: the instance's own limit, and when it was last given a slot."""

    job_type = models.CharField(max_length=200)
    instance = models.ForeignKey(
        JobInstance, on_delete=models.CASCADE, db_constraint=False, related_name="job_types"
    )
    concurrent_job_limit = models.PositiveIntegerField(default=1)
    #: What the worker was started with (``--concurrency``): no override goes beyond it. Null: no such limit.
    concurrency_cap = models.PositiveIntegerField(null=True)
    used_at = models.DateTimeField(null=True)
    properties = models.JSONField(default=dict)
    #: The newest version of the type's message that it can read.
    message_version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name = "job type on an instance"
        verbose_name_plural = "job types on instances"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["job_type", "instance"], name="jobsaga_type_instance")
        ]

    def __str__(self) -> str:
        return f"{self.job_type} on {self.instance_id}"
