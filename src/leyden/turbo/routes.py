"""The routes of an app in the order in which FastAPI tries them, whichever routers they came from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from re import Match, Pattern
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIWebSocketRoute
from starlette.routing import Mount, Route, WebSocketRoute

from leyden.turbo import internals
from leyden.turbo.internals import APIRoute, IncludedRouter


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may serve a request; `pattern` is None for what may match anything, `app` for what is not compiled."""

    index: int
    label: str
    path: str | None
    pattern: Pattern[str] | None
    methods: frozenset[str]
    app: Any
    owner: Any
    """Whose `app` that is: it may be replaced."""
    route: Any
    endpoint: Any
    convertors: Mapping[str, Any]
    fastapi_scope: Mapping[str, Any] | None
    """What is in `scope["fastapi"]` when this is served; None where there is no such thing."""
    why: str = ""
    """Why FastAPI serves it."""

    def values(self, match: Match[str]) -> Mapping[str, Any] | None:
        """Of the path's parameters; None where FastAPI has to find them, and what they raise."""
        if self.app is None:
            return None
        found = match.groupdict()
        try:
            for name, value in found.items():
                found[name] = self.convertors[name].convert(value)
        except ValueError:  # a number that is too long, say
            return None
        return found


@dataclass
class Found:
    candidates: list[Candidate] = field(default_factory=list)
    routers: list[APIRouter] = field(default_factory=list)


def candidates_of(router: APIRouter) -> Found:
    """Those of an app's router, and the routers whose routes are among them."""
    found = Found(routers=[router])
    seen: Mapping[str, Any] | None = None
    limited = "its router limits forms" if router.form_limits else ""
    for route in router.routes:
        if isinstance(route, IncludedRouter):
            seen = {}  # FastAPI leaves it behind when it has looked there
            _add_included(found, route, limited)
        elif isinstance(route, APIRoute) and _is_stock(route, APIRoute):
            _add(found, route, route, seen, limited)
        else:
            _add_foreign(found, route)
    return found


def _is_stock(route: Any, kind: type) -> bool:
    """Of FastAPI's own class, and with its methods."""
    return type(route) is kind and not {"handle", "matches"} & vars(route).keys()


def _add_included(found: Found, branch: Any, limited: str) -> None:
    router = branch.original_router
    if not _is_stock(branch, IncludedRouter) or not _is_stock(router, APIRouter):
        _add_anything(found, "a router of a class of its own")
        return
    found.routers.append(router)
    if branch.include_context.form_limits:
        limited = "its router limits forms"
    try:
        candidates = branch.effective_candidates()
    except Exception as error:  # noqa: BLE001 -- FastAPI raises it when a request gets there
        _add_anything(found, f"a router that cannot be read: {error!r}")
        return
    for candidate in candidates:
        if isinstance(candidate, IncludedRouter):
            _add_included(found, candidate, limited)
        elif _is_stock(candidate.original_route, APIRoute):
            scope = {"included_router": branch, "effective_route_context": candidate}
            _add(found, candidate, candidate.original_route, scope, limited)
        else:
            _add_foreign(found, candidate.starlette_route or candidate.original_route)


def _add(found: Found, owner: Any, route: APIRoute, scope: Mapping[str, Any] | None, why: str) -> None:
    label = f"{', '.join(sorted(owner.methods))} {owner.path_format}"
    if any(type(convertor) not in internals.CONVERTORS for convertor in owner.param_convertors.values()):
        why = "a path convertor of its own"
    found.candidates.append(
        Candidate(
            index=len(found.candidates),
            label=label,
            path=owner.path,
            pattern=owner.path_regex,
            methods=frozenset(owner.methods),
            app=None if why else owner.app,
            owner=owner,
            route=route,
            endpoint=owner.endpoint,
            convertors=owner.param_convertors,
            fastapi_scope=scope,
            why=why,
        )
    )


def _add_foreign(found: Found, route: Any) -> None:
    """What is no route of FastAPI's: where it may match, FastAPI finds out."""
    if type(route) in (WebSocketRoute, APIWebSocketRoute):
        return
    if type(route) is Route:
        _add_opaque(found, route, route.path, "a route of Starlette's")
    elif type(route) is Mount:
        _add_opaque(found, route, route.path + "/{path:path}", "a mounted application")
    else:
        _add_anything(found, f"a {type(route).__name__}")


def _add_opaque(found: Found, route: Any, path: str, why: str) -> None:
    label = f"{', '.join(sorted(getattr(route, 'methods', None) or ['*']))} {route.path}"
    _append(found, label=label, path=path, pattern=route.path_regex, convertors=route.param_convertors, why=why)


def _add_anything(found: Found, why: str) -> None:
    _append(found, label="*", path=None, pattern=None, convertors={}, why=why)


def _append(found: Found, **facts: Any) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("app", "owner", "route", "endpoint", "fastapi_scope"))
    found.candidates.append(Candidate(index=len(found.candidates), methods=frozenset(), **nothing, **facts))


def segments_of(candidate: Candidate) -> Iterator[str | None]:
    """Of its path: a text, or None for a parameter of one segment; what may be longer ends them with `...`."""
    path = candidate.path
    if path is None or (path and path[0] != "/"):  # the pattern of a host, in which letters are not told apart
        yield "..."
        return
    for segment in path.split("/")[1:]:
        if "{" not in segment:
            yield segment
            continue
        names = internals.PARAMETER.findall(segment)
        if any(type(candidate.convertors[name]) not in internals.ONE_SEGMENT for name, _ in names):
            yield "..."
            return
        yield None
