"""JSON, CSV and NDJSON; and errors that say what is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.http.response import HttpResponseNotAllowed
from django.utils.cache import add_never_cache_headers

from jobsaga.live import access
from jobsaga.live.api.records import Problem, Record
from jobsaga.payload import check_json

JSON = "application/json"
#: What a spreadsheet would take for a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
T = TypeVar("T")
View = Callable[..., HttpResponseBase]


class Refused(Exception):
    """A request that cannot be answered: a status, a short word for machines, a sentence for people."""

    def __init__(self, status: int, error: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.error, self.detail = status, error, detail


def endpoint(
    permission: str = access.VIEW, methods: Sequence[str] = ("GET", "HEAD")
) -> Callable[[View], View]:
    """Make a view an address of the API: for these methods, and for users with this permission."""

    def decorate(view: View) -> View:
        @wraps(view)
        def respond(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            try:
                _check(request, permission)
                response = view(request, **kwargs)
            except Refused as refused:
                response = json(Problem(error=refused.error, detail=refused.detail), refused.status)
            add_never_cache_headers(response)
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response

        return respond

    return decorate


def _check(request: HttpRequest, permission: str) -> None:
    if not request.user.is_authenticated:
        raise Refused(401, "not-authenticated", "Log in first.")
    if not access.may(request, access.VIEW) or not access.may(request, permission):
        raise Refused(403, "not-permitted", f"You lack the permission {permission}.")


def json(answer: Any, status: int = 200) -> HttpResponse:
    """An answer as JSON."""
    return HttpResponse(msgspec.json.encode(answer), content_type=JSON, status=status)


def listed(request: HttpRequest, rows: Sequence[Record], whole: Any) -> HttpResponseBase:
    """A list in the format that was asked for; *whole* is what is answered as JSON."""
    wanted = request.GET.get("format", "json")
    if wanted == "json":
        return json(whole)
    if wanted == "ndjson":
        lines = (msgspec.json.encode(row) + b"\n" for row in rows)
        return StreamingHttpResponse(lines, content_type="application/x-ndjson")
    if wanted == "csv":
        response = StreamingHttpResponse(_csv(rows), content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = 'attachment; filename="jobs.csv"'
        return response
    raise Refused(400, "unknown-format", "The format is json, csv or ndjson.")


def _csv(rows: Sequence[Record]) -> Iterator[bytes]:
    line = io.StringIO()
    writer = csv.writer(line)
    for number, row in enumerate(rows):
        plain = msgspec.to_builtins(row)
        for cells in ([*plain], [_cell(each) for each in plain.values()]) if number == 0 else (
            [_cell(each) for each in plain.values()],
        ):  # fmt: skip
            writer.writerow(cells)
        yield line.getvalue().encode()
        line.seek(0)
        line.truncate()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet cannot take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def body(request: HttpRequest, kind: type[T], most: int) -> T:
    """The JSON that was sent, as this type. An empty body is an empty object."""
    content = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip()
    if content not in ("", JSON):
        raise Refused(415, "not-json", f"Send {JSON}.")
    if len(request.body) > most:
        raise Refused(413, "too-large", f"At most {most} bytes can be sent.")
    try:
        found = msgspec.json.decode(request.body or b"{}", type=kind, strict=True)
        check_json(msgspec.to_builtins(found), "body", max_bytes=most)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Refused(400, "not-understood", str(error)) from None
    return found
