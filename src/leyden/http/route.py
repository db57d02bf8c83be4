"""The template of the route that served a request: the one place that knows where FastAPI keeps it."""

from typing import Any

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Match
from starlette.types import Scope


def route_template(scope: Scope) -> str:
    """Such as `/api/items/{id}`; the mount's path where another application answered, empty where nothing matched.

    To be asked after the call. FastAPI keeps the full path of an included route in a private place of the scope.
    """
    mounted = _mounted_at(scope)
    route = scope.get("route")
    context: Any = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and (route is None or context.original_route is route):
        outer = getattr(context, "starlette_route", None)
        path = getattr(outer, "path_format", None) or context.path_format
        return mounted if mounted and route is None else mounted + str(path)
    return mounted + str(getattr(route, "path_format", ""))


def _mounted_at(scope: Scope) -> str:
    root = str(scope.get("root_path", ""))
    return root.removeprefix(str(scope.get("app_root_path", root)))


def body_limit(scope: Scope, default: int) -> int | None:
    """The `max_body_size` of the route that will serve, or `default`, the app's; asked before the call.

    None where it cannot be known yet: no FastAPI route of the app itself serves, but such as a mounted application.
    """
    for context in iter_route_contexts(scope["app"].routes):
        if context.matches(scope)[0] is Match.FULL:
            if not isinstance(context.original_route, APIRoute):
                return None
            return default if context.max_body_size is None else int(context.max_body_size)
    return None
