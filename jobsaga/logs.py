"""Log lines of a worker go to standard error, unless the site's LOGGING says where they go."""

from __future__ import annotations

import logging


def show_logs(level: int = logging.INFO) -> None:
    """Give the ``jobsaga`` logger a handler if nobody would show its lines."""
    logger = logging.getLogger("jobsaga")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
    if logger.level == logging.NOTSET and not logging.getLogger().isEnabledFor(level):
        logger.setLevel(level)
