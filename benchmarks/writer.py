"""One who changes jobs, as saga hosts do: ``python -m benchmarks.writer SECONDS JOB ...``. Prints each commit.

Each change is one transaction: the job's next version, and a line of history. Every fourth is held open for a while
after its line was inserted, so that others with higher numbers are seen first (not on SQLite, where one writes at a
time).
"""

from __future__ import annotations

import json
import random
import sys
import time

import django

PAUSE, HELD = 0.4, 0.6


def main() -> None:
    django.setup()
    from django.db import connection, transaction
    from django.db.models import F
    from django.utils import timezone

    from jobsaga.models import JobHistory, JobSaga

    seconds, jobs = float(sys.argv[1]), sys.argv[2:]
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        job, number = random.choice(jobs), number + 1
        with transaction.atomic():
            row = JobSaga.objects.filter(pk=job)
            row.update(version=F("version") + 1)
            version = row.values_list("version", flat=True)[0]
            JobHistory.objects.create(job_id=job, job_version=version, at=timezone.now(), kind="Bench")
            if number % 4 == 0 and connection.vendor != "sqlite":
                time.sleep(random.uniform(0, HELD))
            at = time.time()
        print(json.dumps({"job": job, "version": version, "at": at}), flush=True)
        time.sleep(random.uniform(0, 2 * PAUSE))


if __name__ == "__main__":
    main()
