"""What the test jobs leave behind. No migrations: the tables are made with the test database."""

from __future__ import annotations

from django.db import models


class Mark(models.Model):
    """A trace of user code, written by a job: tests count them to see what ran, where and how often."""

    job_id = models.UUIDField(null=True, db_index=True)
    text = models.CharField(max_length=200)
    process_id = models.IntegerField(null=True)

    def __str__(self) -> str:
        return self.text
