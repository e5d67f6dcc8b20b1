"""JSON, CSV and NDJSON; and errors that say what is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import wraps
from itertools import islice
from typing import Any, TypeVar

import msgspec
from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt

from jobsaga.live import access, scope
from jobsaga.live.api.door import enter
from jobsaga.live.api.records import Problem, Record
from jobsaga.live.api.refused import Refused
from jobsaga.payload import check_json

JSON = "application/json"
#: Rows that are sent together.
BATCH = 200
#: What a spreadsheet would take for a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
T = TypeVar("T")
View = Callable[..., HttpResponseBase]


def endpoint(
    permission: str = access.VIEW, methods: Sequence[str] = ("GET", "HEAD")
) -> Callable[[View], View]:
    """Make a view an address of the API: for these methods, and for users with this permission."""

    def decorate(view: View) -> View:
        @csrf_exempt  # asked for in enter(), where it is known whether a session or a token is used
        @wraps(view)
        def respond(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if request.method not in methods:
                return _not_allowed(request, methods)
            try:
                enter(request, permission)
                with scope.seen_by(access.viewer(request)):
                    response = view(request, **kwargs)
            except Refused as refused:
                response = json(Problem(error=refused.error, detail=refused.detail), refused.status)
                if refused.status == 401:
                    response.headers["WWW-Authenticate"] = 'Bearer realm="jobsaga"'
            add_never_cache_headers(response)
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response

        return respond

    return decorate


def _not_allowed(request: HttpRequest, methods: Sequence[str]) -> HttpResponse:
    said = f"Here {', '.join(methods)} can be asked, not {request.method}."
    response = json(Problem(error="method-not-allowed", detail=said), 405)
    response.headers["Allow"] = ", ".join(methods)
    return response


def json(answer: Any, status: int = 200) -> HttpResponse:
    """An answer as JSON."""
    return HttpResponse(msgspec.json.encode(answer), content_type=JSON, status=status)


def listed(request: HttpRequest, rows: Iterable[Record], whole: Any) -> HttpResponseBase:
    """A list in the format that was asked for. *whole* is what is answered as JSON; None: the rows, bit by bit."""
    wanted = request.GET.get("format", "json")
    if wanted == "json":
        return json(whole) if whole is not None else streamed(request, _array(rows), JSON)
    if wanted == "ndjson":
        return streamed(request, (msgspec.json.encode(row) + b"\n" for row in rows), "application/x-ndjson")
    if wanted == "csv":
        response = streamed(request, _csv(rows), "text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = 'attachment; filename="jobs.csv"'
        return response
    raise Refused(400, "unknown-format", "The format is json, csv or ndjson.")


def streamed(request: HttpRequest, parts: Iterator[bytes], content_type: str) -> StreamingHttpResponse:
    """An answer that is made while it is sent. Under ASGI Django would first collect what a plain iterator gives."""
    together = _batched(parts)
    content = _without_blocking(together) if isinstance(request, ASGIRequest) else together
    return StreamingHttpResponse(content, content_type=content_type)


async def _without_blocking(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    while part := await sync_to_async(lambda: next(parts, b""))():
        yield part


def _batched(parts: Iterator[bytes]) -> Iterator[bytes]:
    while batch := b"".join(islice(parts, BATCH)):
        yield batch


def _array(rows: Iterable[Record]) -> Iterator[bytes]:
    yield b"["
    for number, row in enumerate(rows):
        yield (b"," if number else b"") + msgspec.json.encode(row)
    yield b"]"


def _csv(rows: Iterable[Record]) -> Iterator[bytes]:
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
    try:
        sent = request.body
    except RequestDataTooBig:  # more than the site takes of anybody
        sent = None
    if sent is None or len(sent) > most:
        raise Refused(413, "too-large", f"At most {most} bytes can be sent.")
    try:
        found = msgspec.json.decode(sent or b"{}", type=kind, strict=True)
        check_json(msgspec.to_builtins(found), "body", max_bytes=most)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refused(400, "not-understood", str(error)) from None
    return found
