"""A ready Django site for jobsaga: the admin, the demo jobs and the demo."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
