"""Convert a video with ffmpeg: a long job whose work is done by another program.

The film is written under another name and renamed when it is whole: a half one is never taken for the result.
What a killed attempt left of its half is removed by the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from dashboard import video
from jobsaga import JobConsumer, JobContext, JobOptions


@dataclass(frozen=True)
class ConvertVideo:
    """Convert the film `source` to H.264/AAC in the file `target`; `threads` 0 means as many as fit."""

    source: str
    target: str
    height: int = 480
    preset: str = "medium"
    threads: int = 0


class ConvertVideoConsumer(JobConsumer[ConvertVideo]):
    """Two at a time on each worker; progress in milliseconds of film."""

    options = JobOptions(concurrent_job_limit=2)

    def run(self, context: JobContext[ConvertVideo]) -> dict[str, Any]:
        job = context.job
        source, target = Path(job.source), Path(job.target)
        for left in target.parent.glob(f"{escape(target.name)}.{context.job_id}.*.part"):
            left.unlink()
        half = target.with_name(f"{target.name}.{context.job_id}.{context.attempt_id}.part")
        total = video.duration(source)
        limit = round(total * 1000) if total else None
        try:
            with video.convert(
                source, half, height=job.height, preset=job.preset, threads=job.threads
            ) as film:
                context.log(f"ffmpeg started on {source.name}", status="Converting", pid=film.process.pid)
                at = video.Progress(0, 0.0)
                for at in film.progress():
                    context.raise_if_cancellation_requested()
                    context.set_job_progress(round(at.seconds * 1000), limit, f"frame {at.frame}")
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
        return {"target": str(target), "frames": at.frame, "bytes": target.stat().st_size}
