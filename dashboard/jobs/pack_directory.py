"""Pack and checksum a directory tree: a long job that goes on where a killed attempt stopped.

`dashboard.packing` does the work; the job says how far it is, and saves a checkpoint now and then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.packing import Checkpoint, list_files, open_pack
from jobsaga import JobConsumer, JobContext, JobOptions

SAVE_EVERY = 50  # files: seldom enough to cost little, often enough that little is read again


@dataclass(frozen=True)
class PackDirectory:
    """Pack the tree `source` into an archive in the directory `target`, without names that match `exclude`."""

    source: str
    target: str
    exclude: tuple[str, ...] = ()


class PackDirectoryConsumer(JobConsumer[PackDirectory]):
    """One at a time on each worker; progress in files."""

    options = JobOptions(concurrent_job_limit=1)

    def run(self, context: JobContext[PackDirectory]) -> dict[str, Any]:
        source, target = Path(context.job.source), Path(context.job.target)
        files = list_files(source, context.job.exclude)
        saved = context.try_get_job_state(Checkpoint)
        with open_pack(source, target, saved) as pack:
            done = pack.checkpoint
            context.save_job_state(done)
            context.log(f"{done.files} of {len(files)} files are done already", status="Packing")
            for path in (path for path in files if path > done.last):
                done = pack.add(path, between=context.raise_if_cancellation_requested)
                context.set_job_progress(done.files, len(files), path)
                if done.files % SAVE_EVERY == 0:
                    context.save_job_state(done)
            context.save_job_state(done)
            pack.finish()
        return {"target": str(target), "files": done.files, "bytes": done.size}
