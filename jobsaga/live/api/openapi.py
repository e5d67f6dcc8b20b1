"""The OpenAPI document of the API, made from the table of its addresses and the types of its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from jobsaga.live.api.answers import JSON, endpoint, json
from jobsaga.live.api.records import Problem

REFERENCES = "#/components/schemas/{name}"
#: What a part of an address may be.
CONVERTER = re.compile(r"<(\w+):(\w+)>")
PARTS: dict[str, dict[str, Any]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "path": {"type": "string", "minLength": 1, "maxLength": 200},
}
#: What each word of a query may be.
QUERIES: dict[str, dict[str, Any]] = {
    "q": {"type": "string", "maxLength": 1000},
    "before": {"type": "string"},
    "after": {"type": "string"},
    "size": {"type": "integer", "minimum": 1, "maximum": 200},
    "format": {"type": "string", "enum": ["json", "csv", "ndjson"]},
}
OTHERWISE = {
    202: "Somebody's transaction holds the job: a saga host does it as soon as that has ended.",
    400: "The request is not understood.", 401: "Nobody is logged in, or the token is not valid.",
    403: "A permission is lacking.",
    404: "There is no such job, type or worker.", 405: "Another method is needed.",
    409: "Nothing was done; refused says why.",
    413: "Too much was sent.", 415: "Something else than JSON was sent.",
    422: "The message, its type or the limit is not valid.",
    503: "Something is wrong; the checks say what.",
}  # fmt: skip


def document(routes: Sequence[Any], server: str = "") -> dict[str, Any]:
    """The document as JSON."""
    kinds = [kind for route in routes for kind in (route.gives, route.takes) if kind is not None]
    schemas, components = msgspec.json.schema_components([*kinds, Problem], ref_template=REFERENCES)
    by_kind = {str(kind): schema for kind, schema in zip([*kinds, Problem], schemas, strict=True)}
    paths: dict[str, Any] = {}
    for route in routes:
        address = "/" + CONVERTER.sub(r"{\2}", route.address)
        paths.setdefault(address, {})[route.method] = _operation(route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "jobsaga", "version": "1", "description": "Jobs: what happened, what is, and steering."},
        "servers": [{"url": server}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {
            "session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
            "token": {"type": "http", "scheme": "bearer"},
        }},
        "security": [{"session": []}, {"token": []}],
    }  # fmt: skip


def view(routes: Sequence[Any]) -> Callable[..., HttpResponseBase]:
    """The address that gives the document."""

    @endpoint()
    def openapi(request: HttpRequest) -> HttpResponseBase:
        server = request.path.removesuffix("/v1/openapi.json")
        return json(document(routes, server))

    return openapi


def _operation(route: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": PARTS[kind]}
        for kind, name in CONVERTER.findall(route.address)
    ] + [{"name": name, "in": "query", "required": False, "schema": QUERIES[name]} for name in route.query]
    content = {route.content: {"schema": schemas[str(route.gives)]}}
    if "format" in route.query:
        content |= {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        }
    problem = {JSON: {"schema": schemas[str(Problem)]}}
    answers: dict[str, Any] = {str(route.status): {"description": "It is answered.", "content": content}}
    for status in _otherwise(route):
        answer = content if status in (202, 409, 503) else problem
        answers[str(status)] = {"description": OTHERWISE[status], "content": answer}
    operation = {
        "operationId": route.name, "summary": (route.view.__doc__ or "").partition("\n")[0],
        "parameters": parameters, "responses": answers,
    }  # fmt: skip
    if route.takes is not None:
        operation["requestBody"] = {
            "content": {JSON: {"schema": schemas[str(route.takes)]}},
            "required": False,
        }
    return operation


def _otherwise(route: Any) -> list[int]:
    found = [401, 403, 405]
    found += [400] if route.query or route.takes is not None else []
    found += [404] if CONVERTER.search(route.address) else []
    if route.method == "post":
        found += [413, 415]
        found += [422] if route.name in ("submit", "limit") else []
        found += [202, 409] if route.status == 200 else []
    if route.name == "health":
        found.append(503)
    return found
