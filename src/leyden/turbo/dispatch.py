"""Where requests leave FastAPI's way for a compiled route, and where those come back that are not to be served there."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from leyden.turbo import internals
from leyden.turbo.compiler import RouteCompiler
from leyden.turbo.entrance import ENDING, FOUND, Entrance, directly, is_bare
from leyden.turbo.matching import Choice, Hit, Matcher
from leyden.turbo.plan import LISTS, RoutePlan, Unknown, plan_route
from leyden.turbo.routes import Candidate, candidates_of
from leyden.turbo.telemetry import ask_cheaply
from leyden.turbo.watching import Watched, watch


@dataclass(frozen=True, slots=True)
class Compiled:
    """A route's own function; `inside` says that it needs the layers that FastAPI has around its router."""

    run: Callable[..., Any]
    plan: RoutePlan
    source: str
    inside: bool


def why_not(app: FastAPI) -> str | None:
    """In a sentence, if this application is to be left alone."""
    if type(app) is not FastAPI or type(app.router) is not APIRouter:
        return f"turbo leaves {type(app).__name__} alone: it may serve requests in ways of its own."
    if app.middleware_stack is not None:
        return "turbo leaves this application alone: it has started. Call accelerate(app) before it serves a request."
    return internals.why_unknown()


class Turbo:
    """One application's compiled routes; they are compiled at its first request, and again when its routes change."""

    def __init__(self, app: FastAPI) -> None:
        self._served = app.router
        self._matcher: Matcher[Compiled] | None = None
        self._watched: list[tuple[APIRouter, Watched]] = []
        self._changes = count(1)
        self._wanted, self._compiled = next(self._changes), 0
        self._compiling = Lock()  # an app may serve from several threads, each with an event loop
        self._build = app.build_middleware_stack
        self._router: ASGIApp = app.router.middleware_stack
        app.build_middleware_stack = self._build_stack  # type: ignore[method-assign]  # FastAPI calls it once, at the start
        app.router.middleware_stack = self._inside
        ask_cheaply(app)

    def candidates(self) -> list[tuple[Candidate, "Compiled | str"]]:
        """Every route with its function, or why it has none."""
        replaced = internals.why_replaced()
        return [(candidate, replaced or _compiled(candidate)) for candidate in candidates_of(self._served).candidates]

    def _build_stack(self) -> ASGIApp:
        stack = self._build()
        return Entrance(stack, self.find) if is_bare(stack, self._served) else stack

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """In the router's place."""
        ending = scope.pop(ENDING, None)
        if ending is not None:
            await ending(scope, receive, send)
            return
        layered = isinstance(scope.get(internals.FILE_STACK), AsyncExitStack)
        found = (scope.pop(FOUND, None) or self.find(scope)) if layered else None
        if found is None:
            await self._router(scope, receive, send)
        else:
            await found.run(scope, receive, send, self._router, directly)

    def find(self, scope: Scope) -> Compiled | None:
        """The compiled route for this request, which the scope tells from then on."""
        if scope["type"] != "http" or "fastapi.telemetry" in scope:
            return None
        if type(scope.get("query_string")) is not bytes or type(scope.get("headers")) is not list:
            return None
        if self._compiled != self._wanted or self._replaced():
            self._compile()
        matcher, path = self._matcher, scope["path"]
        assert matcher is not None  # noqa: S101 -- it was compiled just now
        if scope.get("root_path"):
            path = internals.get_route_path(scope)
        fixed = matcher.fixed.get(path)
        hit = matcher.find(path, scope["method"]) if fixed is None else fixed.get(scope["method"])
        if hit is None or hit.candidate.owner.app is not hit.candidate.app:
            return None
        self._tell(scope, hit)
        return hit.target

    def _replaced(self) -> bool:
        """Whether a router has another list of routes than the one that tells of its changes."""
        for router, routes in self._watched:  # noqa: SIM110 -- any() takes three times as long
            if router.routes is not routes:
                return True
        return False

    def _tell(self, scope: Scope, hit: Hit[Compiled]) -> None:
        """What FastAPI's router tells of the route it has found."""
        candidate = hit.candidate
        params = {**scope["path_params"]} if "path_params" in scope else {}
        if hit.values:
            params.update(hit.values)
        scope["path_params"] = params
        scope["endpoint"] = candidate.endpoint
        scope["route"] = candidate.route
        if "router" not in scope:
            scope["router"] = self._served
        if candidate.fastapi_scope is not None:
            scope.setdefault("fastapi", {}).update(candidate.fastapi_scope)

    def _compile(self) -> None:
        with self._compiling:
            if self._compiled == self._wanted and not self._replaced():  # somebody has done it meanwhile
                return
            wanted = self._wanted
            found = candidates_of(self._served)
            self._watched = [(router, watch(router, "routes", self._note)) for router in found.routers]
            self._matcher = Matcher(self._choices(found.candidates))
            self._compiled = wanted

    def _choices(self, candidates: Iterable[Candidate]) -> Iterator[Choice[Compiled]]:
        replaced = internals.why_replaced()
        for candidate in candidates:
            compiled = replaced or _compiled(candidate)
            if isinstance(compiled, Compiled):
                self._watch(compiled.plan)
            yield Choice(candidate, compiled if isinstance(compiled, Compiled) else None)

    def _watch(self, plan: RoutePlan) -> None:
        """Tools append dependencies to routes that serve already."""
        for node in plan.nodes:
            for name in LISTS:
                watch(node.dependant, name, self._note)

    def _note(self) -> None:
        self._wanted = next(self._changes)


def _compiled(candidate: Candidate) -> Compiled | str:
    if candidate.why:
        return candidate.why
    try:
        plan = plan_route(candidate.app)
        run, source = RouteCompiler(plan).compile()
    except Unknown as reason:
        return str(reason)
    except Exception as error:  # noqa: BLE001 -- FastAPI fails at the request, if it does, and no other route with it
        return f"it cannot be read: {error!r}"
    return Compiled(run, plan, source, inside=plan.inside)
