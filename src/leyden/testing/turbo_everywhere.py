"""A pytest plugin under which every FastAPI application is accelerated, whoever made it, and requests are counted.

    pytest -p leyden.testing.turbo_everywhere

Whatever a suite says of FastAPI it then says of compiled routes. At its end stands how many of the requests that reached
a route of FastAPI's were served by compiled code, and why the others were not: a suite that passes because everything
is served by FastAPI proves nothing. `--turbo-report FILE` writes that as JSON, too.
"""

import json
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from leyden.turbo import TurboWarning, accelerate, report
from leyden.turbo.dispatch import Compiled, Turbo
from leyden.turbo.switch import turbo_of

COMPILED = "compiled"
GIVEN_BACK = "an override, or a function that somebody has replaced"
LEFT_ALONE = "an application that turbo leaves alone"
TELEMETRY = "OpenTelemetry is on"
UNUSUAL = "a path, a scope or a value that FastAPI has to read"

_build, _call, _find = FastAPI.build_middleware_stack, FastAPI.__call__, Turbo.find
_served: Counter[str] = Counter()
_running: dict[int, str] = {}
"""How each request is served that is under way, by the identity of its scope."""


def _build_accelerated(app: FastAPI) -> Any:
    if turbo_of(app) is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TurboWarning)
            accelerate(app)
        if turbo_of(app) is not None:
            return app.build_middleware_stack()
    return _build(app)


async def _call_counted(app: FastAPI, scope: Scope, receive: Receive, send: Send) -> None:
    """A request goes through several applications where some are mounted in others; the innermost counts."""
    if scope["type"] != "http" or id(scope) in _running:
        await _call(app, scope, receive, send)
        return
    _running[id(scope)] = ""
    try:
        await _call(app, scope, receive, send)
    finally:
        how = _running.pop(id(scope))
        if how or _reached_a_route(scope):
            _served[how or _why_not(scope)] += 1


def _find_noted(turbo: Turbo, scope: Scope) -> Compiled | None:
    found = _find(turbo, scope)
    return found and replace(found, run=_noted(found.run))


def _noted(run: Callable[..., Any]) -> Callable[..., Any]:
    async def noted(scope: Scope, receive: Receive, send: Send, stock: Callable[..., Any], back: Any) -> None:
        _note(scope, COMPILED)

        async def give_back(*arguments: Any) -> None:
            _note(scope, GIVEN_BACK)
            await stock(*arguments)

        await run(scope, receive, send, give_back, back)

    return noted


def _note(scope: Scope, how: str) -> None:
    if id(scope) in _running:  # or it is a copy that somebody has made
        _running[id(scope)] = how


def _reached_a_route(scope: Scope) -> bool:
    route = scope.get("route")
    return isinstance(route, APIRoute) and scope["method"] in (route.methods or ())


def _why_not(scope: Scope) -> str:
    route: APIRoute = scope["route"]
    if turbo_of(scope["app"]) is None:
        return LEFT_ALONE
    if "fastapi.telemetry" in scope:
        return TELEMETRY
    told = (found.why for found in report(scope["app"]) if found.route.endswith(f" {route.path_format}"))
    return next(filter(None, told), UNUSUAL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--turbo-report", type=Path, metavar="FILE", help="write what served the requests, and how often")


def pytest_configure() -> None:
    _put_in_place(_build_accelerated, _call_counted, _find_noted)


def pytest_unconfigure() -> None:
    _put_in_place(_build, _call, _find)


def _put_in_place(build: Any, call: Any, find: Any) -> None:
    for owner, name, method in (
        (FastAPI, "build_middleware_stack", build),
        (FastAPI, "__call__", call),
        (Turbo, "find", find),
    ):
        setattr(owner, name, method)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of xdist has ended."""
    _served.update(getattr(node, "workeroutput", {}).get(__name__, {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[__name__] = dict(_served)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    total = _served.total()
    terminalreporter.section("turbo")
    terminalreporter.line(
        f"{_served[COMPILED]} of {total} requests that reached a route were served by compiled code"
        f" ({100 * _served[COMPILED] / (total or 1):.1f} %)"
    )
    for reason, count in _served.most_common():
        if reason != COMPILED:
            terminalreporter.line(f"{count:>7}  {reason}")
    if (file := config.getoption("--turbo-report")) is not None:
        file.write_text(json.dumps(dict(_served.most_common()), indent=2) + "\n", encoding="utf-8")
