"""The job that an argument means: by its whole id, or by as much of its beginning or end as only it has."""

from __future__ import annotations

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import CommandError

from jobsaga.conf import settings
from jobsaga.management.cli.verb import FAILED, USAGE
from jobsaga.sagas.states import JobStates
from jobsaga.store.lookup import jobs_like

SHOWN = 5


def add_job_id(parser: ArgumentParser) -> None:
    parser.add_argument("job_id", metavar="ID", help="the job's id, or enough of its last or first digits")


def whole_id(text: str) -> UUID:
    """The id of the one job that *text* means. A whole id is taken as it is: whether there is such a job is not
    asked.
    """
    try:
        return UUID(text)
    except ValueError:
        pass
    try:
        found = list(jobs_like(settings.DATABASE, text, SHOWN + 1))
    except ValueError as error:
        raise CommandError(f"{error}.", returncode=USAGE) from None
    if not found:
        raise CommandError(f"No job has an id that begins or ends with {text}.", returncode=FAILED)
    if len(found) > 1:
        listed = [f"  {job.id}  {JobStates(job.state)}  {job.job_type}" for job in found[:SHOWN]]
        more = ["  ..."] if len(found) > SHOWN else []
        text = "\n".join([f"{text} is the id of more than one job; give more of it:", *listed, *more])
        raise CommandError(text, returncode=FAILED)
    job_id: UUID = found[0].id
    return job_id
