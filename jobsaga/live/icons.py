"""The signs, as SVG paths on a 16 by 16 grid. Drawn with the text's colour; words stand beside them."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

PATHS = {
    "clock": '<circle cx="8" cy="8" r="6"/><path d="M8 4.8V8l2.2 1.6"/>',
    "queue": '<path d="M3 4.5h10M3 8h7M3 11.5h4"/>',
    "start": '<circle cx="8" cy="8" r="6" stroke-dasharray="2.6 2.1"/>',
    "run": '<circle cx="8" cy="8" r="6"/><path d="M6.8 5.6v4.8L10.6 8z" fill="currentColor" stroke="none"/>',
    "retry": '<path d="M13 8a5 5 0 1 1-1.6-3.7M13 2.6v2.6h-2.6"/>',
    "stop": '<circle cx="8" cy="8" r="6"/><path d="M6 6h4v4H6z" fill="currentColor" stroke="none"/>',
    "done": '<circle cx="8" cy="8" r="6"/><path d="m5.4 8.2 1.8 1.8 3.4-3.8"/>',
    "fault": '<path d="M8 2.2 14 13H2z"/><path d="M8 6.4v3M8 11.2v.1"/>',
    "cancel": '<circle cx="8" cy="8" r="6"/><path d="m5.9 5.9 4.2 4.2M10.1 5.9l-4.2 4.2"/>',
    "alert": '<circle cx="8" cy="8" r="6"/><path d="M8 4.8v3.8M8 10.9v.1"/>',
    "dot": '<circle cx="8" cy="8" r="2.5"/>',
    "now": '<path d="M2 8h3l2-5 3 10 1.8-5H14"/>',
    "jobs": '<path d="M3 4h10M3 8h10M3 12h10"/>',
    "types": '<path d="m8 2 6 3-6 3-6-3zM2 8.2l6 3 6-3M2 11.2l6 3 6-3"/>',
    "workers": '<rect x="2.5" y="3" width="11" height="4" rx="1"/><rect x="2.5" y="9" width="11" height="4" rx="1"/>'
    '<path d="M5 5h.1M5 11h.1"/>',
    "failures": '<path d="M8 2.2 14 13H2z"/><path d="M8 6.4v3M8 11.2v.1"/>',
    "activity": '<path d="M3 3.5v9M3 4.5h3M3 8h3M3 11.5h3M8.5 4.5H13M8.5 8H13M8.5 11.5H13"/>',
    "health": '<path d="M8 13.2S2.4 10 2.4 6.3A2.9 2.9 0 0 1 8 5.2a2.9 2.9 0 0 1 5.6 1.1C13.6 10 8 13.2 8 13.2z"/>',
    "schedules": '<rect x="2.5" y="3.5" width="11" height="10" rx="1.5"/><path d="M2.5 6.8h11M5.5 2v3M10.5 2v3"/>',
    "search": '<circle cx="7" cy="7" r="4.3"/><path d="m10.3 10.3 3.2 3.2"/>',
    "admin": '<path d="M8 2 3 4v4c0 3 2.2 5 5 6 2.8-1 5-3 5-6V4z"/>',
    "sun": '<circle cx="8" cy="8" r="2.8"/><path d="M8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1'
    'M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1"/>',
    "moon": '<path d="M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z"/>',
    "auto": '<circle cx="8" cy="8" r="6"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" stroke="none"/>',
    "play": '<path d="M5 3.5v9L12.5 8z"/>',
    "plus": '<path d="M8 3v10M3 8h10"/>',
    "trash": '<path d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5"/>',
    "right": '<path d="m6 3.5 4.5 4.5L6 12.5"/>',
    "left": '<path d="M10 3.5 5.5 8l4.5 4.5"/>',
    "copy": '<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 3.5v-1h-8v8h1"/>',
}


def icon(name: str) -> SafeString:
    """The sign of this name, hidden from screen readers: the word beside it says the same."""
    return format_html(
        '<svg class="i" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">{}</svg>',
        mark_safe(PATHS[name]),  # noqa: S308 - a constant of this file
    )
