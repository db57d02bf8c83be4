"""The OpenAPI document, telling the truth about errors and about where to sign in."""

import copy
from collections.abc import Iterator
from typing import Any

from leyden.http.schemas import Problem

_REF = "#/components/schemas/"
_FIRST_ERROR = "4"
_SIGNS_IN = "x-signs-in"
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}


def with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """A copy in which every error is a problem: FastAPI writes of its own form, which is never sent."""
    told = copy.deepcopy(document)
    for operation in _operations(told):
        responses = operation.setdefault("responses", {})
        for status, response in responses.items():
            if status[:1] in (_FIRST_ERROR, "5", "d"):
                _describe(response)
        responses.setdefault("default", _describe({"description": "A problem"}))
    schemas = told.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    definition = Problem.model_json_schema(ref_template=_REF + "{model}")
    schemas.update(definition.pop("$defs"))
    schemas["Problem"] = definition
    return told


def name_logins(document: dict[str, Any], root: str) -> None:
    """Make the path of each operation that has `x-signs-in` the `tokenUrl` of the security scheme it names.

    A scheme is one value for all apps of a process; only the document of an app knows where its login is. `root` is
    what the client sees before every path.
    """
    schemes = document.get("components", {}).get("securitySchemes", {})
    for path, item in document.get("paths", {}).items():
        for method in _METHODS & item.keys():
            scheme = schemes.get(item[method].pop(_SIGNS_IN, None), {})
            if (flow := scheme.get("flows", {}).get("password")) is not None:
                flow["tokenUrl"] = root + path


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in ("paths", "webhooks"):
        for path in document.get(group, {}).values():
            yield from (operation for method, operation in path.items() if method in _METHODS)


def _describe(response: dict[str, Any]) -> dict[str, Any]:
    content = response.get("content", {})
    own = content.get("application/json", {}).get("schema", {}).get("$ref")
    if not content or own in (f"{_REF}HTTPValidationError", f"{_REF}Problem"):
        response["content"] = {"application/problem+json": {"schema": {"$ref": f"{_REF}Problem"}}}
    return response
