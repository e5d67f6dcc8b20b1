"""Loaded in templates by ``{% load jobsaga_live %}``."""
