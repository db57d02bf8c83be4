"""The OpenAPI document, telling the truth about errors."""

import copy
from collections.abc import Iterator
from typing import Any

from leyden.http.schemas import Problem

_REF = "#/components/schemas/"
_FIRST_ERROR = "4"
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
