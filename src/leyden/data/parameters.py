"""The query parameters that a route declares: the one place that knows where FastAPI keeps them."""

from collections.abc import Iterator
from typing import Any

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.security import APIKeyQuery
from starlette.requests import HTTPConnection


def dependant_of(connection: HTTPConnection) -> Dependant | None:
    """What the route that serves this request depends on; None where no route of FastAPI's does."""
    route = connection.scope.get("route")
    context: Any = connection.scope.get("fastapi", {}).get("effective_route_context")
    serving = context if context is not None and context.original_route is route else route
    found = getattr(serving, "dependant", None)
    return found if isinstance(found, Dependant) else None


def query_parameters(dependant: Dependant) -> frozenset[str]:
    """The names of all query parameters, those of dependencies and of keys in the query too."""
    declared = [field for field in get_flat_params(dependant) if isinstance(field.field_info, params.Query)]
    return frozenset({str(field.validation_alias or field.alias) for field in declared} | set(_keys(dependant)))


def _keys(dependant: Dependant) -> Iterator[str]:
    if isinstance(dependant.call, APIKeyQuery):
        yield dependant.call.model.name
    for each in dependant.dependencies:
        yield from _keys(each)
