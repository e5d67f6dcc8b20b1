#!/usr/bin/env python
"""Run a Django command on the dashboard site, or say what is missing to do so."""

import os
import shlex
import sys
from importlib.util import find_spec

NEEDED = ("django", "environ", "imageio_ffmpeg", "msgspec", "rich", "whitenoise")
INSTALL = """\
This Python ({python}) has no {missing}. Either

    uv run --no-dev --extra site manage.py {arguments}

or, in the directory of manage.py,

    python3 -m venv .venv
    .venv/bin/pip install -e '.[site]'
    .venv/bin/python manage.py {arguments}
"""


def main() -> None:
    """Run the command line."""
    if missing := [module for module in NEEDED if find_spec(module) is None]:
        arguments = shlex.join(sys.argv[1:])
        sys.exit(INSTALL.format(python=sys.executable, missing=", ".join(missing), arguments=arguments))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
