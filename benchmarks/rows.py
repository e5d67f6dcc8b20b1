"""A large site's rows, made by PostgreSQL itself: a month of jobs, their attempts and their history.

Columns that are not named here get their model's default, so that a new column needs no change here.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.db.models import Field, Model

from jobsaga.models import (
    DeadLetter,
    JobAttemptSaga,
    JobHistory,
    JobInstance,
    JobSaga,
    JobTypeInstance,
    JobTypeSaga,
)
from jobsaga.sagas.states import AttemptStates, JobStates

TYPES, WORKERS, RECURRING, LETTERS = 40, 60, 500, 300
#: The newest jobs are the open ones.
RUNNING, RETRYING, SCHEDULED, WAITING = 500, 1_500, 3_000, 12_000
DAYS = 30

#: Ids in order of time, as jobsaga makes them: milliseconds, the version, a number, and which table it is for.
UUID7 = (
    "(lpad(to_hex((extract(epoch from {at}) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex({n} >> 20), 3, '0')"
    " || '8' || lpad(to_hex({n} & 1048575), 5, '0') || '{tail}')::uuid"
)
TYPE = "'app' || n % 8 || '.Type' || n % " + str(TYPES)
INSTANCE = "md5('worker' || n % " + str(WORKERS) + ")::uuid"
ERROR = (
    "jsonb_build_object('type', (array['ConnectionError', 'KeyError', 'TimeoutError', 'ValueError', "
    "'app.errors.NoSuchFilm'])[1 + n % 5], 'message', 'number ' || n || ' went wrong', "
    "'traceback', repeat('  File \"/srv/app/jobs.py\", line 12, in run\n', 20))"
)


def fill(jobs: int) -> None:
    """Make *jobs* jobs with an attempt each and five lines of history, workers, types and dead letters."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SELECT date_trunc('second', now())::text")
        now = cursor.fetchone()[0]  # one and the same in all statements: ids are made of times
        for model, columns, source in (*_jobs(jobs, now), *_around()):
            statement, values = _insert(model, columns, source)
            cursor.execute(statement, values)
            print(f"{cursor.rowcount:>10,} rows of {model.__name__}", flush=True)
        cursor.execute("VACUUM ANALYZE")


def _jobs(jobs: int, now: str) -> list[tuple[type[Model], dict[str, str], str]]:
    """Each as (model, columns and their SQL, what it is made from)."""
    starts = f"timestamptz '{now}' - ({jobs}::float8 - n) / {jobs} * interval '{DAYS} days' - interval '11 minutes'"
    edges = [jobs - RUNNING, jobs - RUNNING - RETRYING, jobs - RUNNING - RETRYING - SCHEDULED]
    state = (
        f"CASE WHEN n > {edges[0]} THEN {JobStates.STARTED:d} WHEN n > {edges[1]} THEN {JobStates.WAITING_TO_RETRY:d} "
        f"WHEN n > {edges[2]} THEN {JobStates.WAITING_TO_START:d} WHEN n > {edges[2] - WAITING} "
        f"THEN {JobStates.WAITING_FOR_SLOT:d} WHEN n % 25 = 0 THEN {JobStates.FAULTED:d} "
        f"WHEN n % 67 = 0 THEN {JobStates.CANCELED:d} ELSE {JobStates.COMPLETED:d} END"
    )
    numbers = f"(SELECT n, {starts} AS at, {state} AS state FROM generate_series(1, {jobs}) n) raw"  # noqa: S608
    series = f"(SELECT *, at + (n % 600) * interval '1 second' AS finished FROM {numbers}) row"  # noqa: S608
    ended = f"state IN ({JobStates.COMPLETED:d}, {JobStates.FAULTED:d}, {JobStates.CANCELED:d})"
    recurring = f"state = {JobStates.WAITING_TO_START:d} AND n % 6 = 0"
    key, tried = (
        UUID7.format(at="at", n="n", tail="0000000001"),
        UUID7.format(at="at", n="n", tail="0000000002"),
    )
    ran = f"({ended} OR state = {JobStates.STARTED:d})"
    job = {
        "id": key, "job_type": TYPE, "state": "state", "version": "4", "submitted_at": "at", "queued_at": "at",
        "message": "jsonb_build_object('path', '/media/in/film-' || n || '.mkv', 'height', 720)",
        "properties": "jsonb_build_object('tenant', 't' || n % 1000)",
        "attempt_id": f"CASE WHEN {ran} THEN {tried} END",
        "slot": f"CASE WHEN state = {JobStates.STARTED:d} THEN {tried} END",
        "started_at": f"CASE WHEN {ran} THEN at + interval '2 seconds' END",
        "finished_at": f"CASE WHEN {ended} THEN finished END",
        "duration": f"CASE WHEN {ended} THEN finished - at END",
        "faulted_at": f"CASE WHEN state IN ({JobStates.FAULTED:d}, {JobStates.WAITING_TO_RETRY:d}) THEN finished END",
        "fault": f"CASE WHEN state IN ({JobStates.FAULTED:d}, {JobStates.WAITING_TO_RETRY:d}) THEN {ERROR} END",
        "reason": f"CASE WHEN state = {JobStates.FAULTED:d} THEN 'number ' || n || ' went wrong' ELSE '' END",
        "due_at": f"CASE WHEN NOT {ended} AND state <> {JobStates.WAITING_FOR_SLOT:d} "
        "THEN now() + (n % 5000 + 60) * interval '1 minute' END",
        "retry_attempt": "CASE WHEN n % 25 = 0 THEN 3 ELSE 0 END",
        "progress_value": f"CASE WHEN {ran} THEN n % 1000 END", "progress_limit": f"CASE WHEN {ran} THEN 1000 END",
        "recurring": recurring, "recurring_name": f"CASE WHEN {recurring} THEN 'every-' || n ELSE '' END",
        "cron": f"CASE WHEN {recurring} THEN '0 0 3 * * *' ELSE '' END",
        "next_start_at": f"CASE WHEN {recurring} THEN now() + interval '9 hours' END",
    }  # fmt: skip
    attempt = {
        "id": tried, "job_id": key, "job_type": TYPE, "holds_slot": f"state = {JobStates.STARTED:d}",
        "state": f"CASE state WHEN {JobStates.STARTED:d} THEN {AttemptStates.RUNNING:d} "
        f"WHEN {JobStates.FAULTED:d} THEN {AttemptStates.FAULTED:d} ELSE {AttemptStates.FINAL:d} END",
        "instance_id": INSTANCE, "created_at": "at", "received_at": "at", "started_at": "at + interval '2 seconds'",
        "ended_at": f"CASE WHEN {ended} THEN finished END",
        "duration": f"CASE WHEN {ended} THEN finished - at END",
        "fault": f"CASE WHEN state = {JobStates.FAULTED:d} THEN {ERROR} END",
        "outcome": f"CASE state WHEN {JobStates.FAULTED:d} THEN 'faulted' WHEN {JobStates.COMPLETED:d} "
        f"THEN 'completed' WHEN {JobStates.CANCELED:d} THEN 'canceled' ELSE '' END",
    }  # fmt: skip
    history = {
        "job_id": key, "job_version": "step", "at": "at + step * interval '1 second'", "attempt_id": "NULL",
        "kind": "(array['JobSubmitted', 'JobSlotAllocated', 'JobAttemptStarted', 'JobProgress', 'JobCompleted'])[step]",
        "to_state": "(array[5, 10, 6, 6, 7])[step]", "message": "'line ' || step || ' of job ' || n",
        "actor": "CASE WHEN step = 1 OR n % 100 = 0 AND step = 5 THEN 'ana' ELSE '' END",
    }  # fmt: skip
    lines = f"{series} CROSS JOIN generate_series(1, 5) step ORDER BY at, step"
    return [
        (JobSaga, job, series),
        (JobAttemptSaga, attempt, f"{series} WHERE {ran}"),
        (JobHistory, history, lines),
    ]


def _around() -> list[tuple[type[Model], dict[str, str], str]]:
    workers, lines = f"generate_series(0, {WORKERS - 1}) n", f"generate_series(0, {WORKERS * 8 - 1}) n"
    letters = {
        "at": "now() - n * interval '1 minute'",
        "endpoint": "'saga'",
        "body": "'{}'",
        "reason": "'not JSON'",
    }
    instance = {"id": INSTANCE, "host": "'host-' || n", "pid": "4000 + n", "version": "'1.0'", "state": "1",
                "started_at": "now() - interval '1 day'", "lease_expires_at": "now() + interval '1 day'"}  # fmt: skip
    turn = f"((n / {WORKERS} * 5 + n % 5) % {TYPES})"
    announced = {"job_type": f"'app' || {turn} % 8 || '.Type' || {turn}", "instance_id": INSTANCE,
                 "concurrent_job_limit": "10"}  # fmt: skip
    types = {"id": "md5('type' || n)::uuid", "name": TYPE, "state": "3", "concurrent_job_limit": "10"}
    return [
        (JobInstance, instance, workers),
        (JobTypeInstance, announced, lines),
        (JobTypeSaga, types, f"generate_series(0, {TYPES - 1}) n"),
        (DeadLetter, letters, f"generate_series(1, {LETTERS}) n"),
    ]


def _insert(model: type[Model], columns: dict[str, str], source: str) -> tuple[str, list[Any]]:
    fields = [each for each in model._meta.concrete_fields if each.column in columns or not each.primary_key]
    named = ", ".join(f'"{each.column}"' for each in fields)
    values: list[Any] = []
    said = []
    for each in fields:
        if each.column in columns:
            said.append(columns[each.column].replace("%", "%%"))
        else:
            said.append("%s")
            values.append(_default(each))
    select = f"SELECT {', '.join(said)} FROM {source.replace('%', '%%')}"  # noqa: S608 - of our own
    return f'INSERT INTO "{model._meta.db_table}" ({named}) {select}', values


def _default(field: Field[Any, Any]) -> Any:
    value = field.get_default()
    if value is None and not field.null:
        value = ""
    return json.dumps(value) if isinstance(value, dict | list) else value
