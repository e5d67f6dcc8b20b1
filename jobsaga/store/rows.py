"""Rows to records and back: the one place that knows both the models and the sagas' records.

A record's fields carry the names of the model's columns, so the mapping is a loop; what is left are the
states, which are integers in a row and words in a record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from django.db import models

from jobsaga.models import JobAttemptSaga, JobCheckpoint, JobSaga, JobTypeInstance, JobTypeSaga
from jobsaga.sagas.machine import Record
from jobsaga.sagas.records import Attempt, Checkpoint, Job, JobType, TypeInstance
from jobsaga.sagas.states import AttemptStates, JobStates, JobTypeStates, State

COUNTED = {"instances", "active", "keys", "host", "drained"}
"""Fields of a type and its instances that are counted or looked up when they are asked for."""

MODELS: dict[type[Record], type[models.Model]] = {
    Job: JobSaga,
    Attempt: JobAttemptSaga,
    Checkpoint: JobCheckpoint,
    JobType: JobTypeSaga,
    TypeInstance: JobTypeInstance,
}
STATES: dict[type[Record], type[State]] = {
    Job: JobStates,
    Attempt: AttemptStates,
    JobType: JobTypeStates,
}
COLUMNS: dict[type[Record], tuple[str, ...]] = {
    record: tuple(f.name for f in fields(record) if f.name not in COUNTED)  # type: ignore[arg-type]
    for record in MODELS
}


def records(record: type[Any], rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Records of this class from rows of ``COLUMNS[record]``. Skips ``__init__``: this is the hot path."""
    names = COLUMNS[record]
    states = STATES.get(record)
    loaded = []
    for row in rows:
        it = object.__new__(record)
        it.__dict__.update(zip(names, row, strict=True))
        if states is not None:
            it.__dict__["state"] = states(it.__dict__["state"])
        loaded.append(it)
    return loaded


def values(record: Any, names: Iterable[str]) -> tuple[Any, ...]:
    """These fields of a record, as a row."""
    get = record.__dict__
    return tuple(get[name] for name in names)
