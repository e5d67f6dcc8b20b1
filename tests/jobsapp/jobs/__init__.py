"""The test app's jobs, found by autodiscovery. Every module in this folder is imported: add one per subject."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
