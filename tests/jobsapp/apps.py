from django.apps import AppConfig


class JobsAppConfig(AppConfig):
    """Found in INSTALLED_APPS as ``tests.jobsapp``; job types begin with ``jobsapp.``"""

    name = "tests.jobsapp"
    label = "jobsapp"
