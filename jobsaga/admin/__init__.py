"""The rows in Django's admin, to look at. Nothing can be added, changed or deleted here.

``base`` has what all the lists have in common, ``jobs`` and ``workers`` have one class for each model.
"""

from jobsaga.admin import jobs, workers

__all__ = ["jobs", "workers"]
