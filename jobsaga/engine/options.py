"""What the engine is told of the settings, as one value, so that it never reads them itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobsaga.broker_url import PORTS


@dataclass(frozen=True)
class EngineOptions:
    """The saga host's share of the settings; durations as timedeltas."""

    batch: int = 500
    finalize_completed: bool = False
    heartbeat_interval: timedelta = timedelta(seconds=5)
    heartbeat_timeout: timedelta = timedelta(seconds=15)
    suspect_job_retry_count: int = 3
    suspect_job_retry_delay: timedelta = timedelta(seconds=1)
    job_cancellation_timeout: timedelta = timedelta(seconds=30)
    history_retention: timedelta | None = None
    log_retention: timedelta | None = timedelta(days=30)
    job_retention: timedelta | None = timedelta(days=30)
    zombie_grace: timedelta = timedelta(seconds=3)
    misfire_grace: timedelta = timedelta(seconds=60)
    publish_events: bool = False

    @classmethod
    def from_settings(cls) -> EngineOptions:
        """As JOBSAGA says."""
        from jobsaga.conf import settings

        return cls(
            batch=settings.CONCURRENT_MESSAGE_LIMIT,
            finalize_completed=settings.FINALIZE_COMPLETED,
            heartbeat_interval=settings.HEARTBEAT_INTERVAL,
            heartbeat_timeout=settings.HEARTBEAT_TIMEOUT,
            suspect_job_retry_count=settings.SUSPECT_JOB_RETRY_COUNT,
            suspect_job_retry_delay=settings.SUSPECT_JOB_RETRY_DELAY,
            job_cancellation_timeout=settings.JOB_CANCELLATION_TIMEOUT,
            history_retention=settings.HISTORY_RETENTION,
            log_retention=settings.LOG_RETENTION,
            job_retention=settings.JOB_RETENTION,
            zombie_grace=settings.ZOMBIE_GRACE,
            misfire_grace=settings.MISFIRE_GRACE,
            # Without a broker nobody would ever send them.
            publish_events=settings.PUBLISH_EVENTS and settings.TRANSPORT.partition(":")[0] in PORTS,
        )
