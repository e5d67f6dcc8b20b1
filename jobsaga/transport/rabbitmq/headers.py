"""Connections that survive the headers of strangers.

pika ends the connection when it cannot read a value in the headers of a message: a time after the year 9999, say,
which is what milliseconds look like where seconds belong. The message is then delivered again, and ends the next
connection too. Nothing of jobsaga reads the headers of strangers, so here such a message comes without any.
"""

from __future__ import annotations

import struct
from typing import Any

import pika
from pika import frame, spec

PROPERTIES = pika.BasicProperties


class Connection(pika.SelectConnection):
    """Reads every message that RabbitMQ delivers, if need be without its headers."""

    def _read_frame(self) -> tuple[int, Any]:
        try:
            return super()._read_frame()  # type: ignore[misc,no-any-return]
        except Exception:
            buffer = self._frame_buffer  # type: ignore[attr-defined]
            kind, channel, size = struct.unpack_from(">BHL", buffer)
            if kind != spec.FRAME_HEADER:
                raise
            content = buffer[spec.FRAME_HEADER_SIZE : spec.FRAME_HEADER_SIZE + size]
            (body_size,) = struct.unpack_from(">Q", content, 4)
            end = spec.FRAME_HEADER_SIZE + size + spec.FRAME_END_SIZE
            return end, frame.Header(channel, body_size, readable(content[12:]))


def readable(encoded: bytes) -> pika.BasicProperties:
    """Of a message's properties, as they are sent, those that can be read: all but its headers, or none."""
    properties = PROPERTIES()
    try:
        properties.decode(without_headers(encoded))
    except Exception:  # noqa: BLE001 - whatever it is, it is not worth the connection
        return PROPERTIES()
    return properties


def without_headers(encoded: bytes) -> bytes:
    """Properties are flags, two short texts, the headers, and the rest; what is missing has no flag."""
    (flags,) = struct.unpack_from(">H", encoded)
    start = 2
    for flag in (PROPERTIES.FLAG_CONTENT_TYPE, PROPERTIES.FLAG_CONTENT_ENCODING):
        if flags & flag:
            start += 1 + encoded[start]
    (length,) = struct.unpack_from(">I", encoded, start)
    rest = encoded[start + 4 + length :]
    return struct.pack(">H", flags & ~PROPERTIES.FLAG_HEADERS) + encoded[2:start] + rest
