"""The demo jobs: long and short ones, each showing one thing that jobsaga does for a job.

jobsaga finds them here, as it does in the `jobs` module of every installed app.
"""

from dashboard.jobs.convert_video import ConvertVideo, ConvertVideoConsumer
from dashboard.jobs.pack_directory import PackDirectory, PackDirectoryConsumer
from dashboard.jobs.run_job import RunJob, RunJobConsumer
from dashboard.jobs.small import CallService, QuickJob, call_service, quick_job

__all__ = [
    "CallService",
    "ConvertVideo",
    "ConvertVideoConsumer",
    "PackDirectory",
    "PackDirectoryConsumer",
    "QuickJob",
    "RunJob",
    "RunJobConsumer",
    "call_service",
    "quick_job",
]
