"""What the script says, in the reader's language: the page carries it along."""

from __future__ import annotations

import json

from django.utils import formats
from django.utils.translation import gettext as _


def for_script() -> str:
    """All words of the script as JSON; ``%s`` is where a number or a span of time goes."""
    return json.dumps(
        {
            "now": _("now"),
            "ago": _("%(span)s ago") % {"span": "%s"},
            "in": _("in %(span)s") % {"span": "%s"},
            "point": formats.get_format("DECIMAL_SEPARATOR"),
            "change": _("1 change is not shown yet"),
            "changes": _("%(count)s changes are not shown yet") % {"count": "%s"},
            "paused": _("Paused"),
            "live": _("Live"),
            "stale": _("Stale %(span)s") % {"span": "%s"},
            "joining": _("Connecting"),
            "polling": _("Polling"),
            "theme": _("Theme: %(name)s") % {"name": "%s"},
            "auto": _("as the system's"),
            "light": _("light"),
            "dark": _("dark"),
        }
    )
