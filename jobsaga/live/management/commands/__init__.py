"""``manage.py jobsaga_groups``."""
