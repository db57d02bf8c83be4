"""Twins: the same app twice, one as FastAPI has it and one accelerated, asked the same at the level of ASGI messages."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, fields
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import _endpoint_context_cache
from starlette.types import Message, Receive, Scope, Send

from leyden.turbo import accelerate
from leyden.turbo.switch import turbo_of

Ledger = list[Any]
Build = Callable[[Ledger], FastAPI]
Event = Message | Exception | Callable[[FastAPI], Any]

COMPILED, FASTAPI, EITHER = "compiled", "fastapi", "either"
ADDRESS = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True)
class Asked:
    """A request: what `receive` gives in turn (a message, an error, or what a function of the app does), and who must serve it."""

    scope: Scope
    events: Sequence[Event]
    by: str
    send_fails: int | None


@dataclass(frozen=True)
class Answered:
    """All that shows of a request outside of the app. `ledger` is what the app's own functions noted."""

    sent: list[Message]
    raised: list[str]
    received: int
    ledger: Ledger
    told: dict[str, Any]


@dataclass
class Twin:
    """One of the two apps; `served` counts the requests that FastAPI's own router got."""

    app: FastAPI
    ledger: Ledger
    served: int = 0
    sent: list[Message] = field(default_factory=list)

    def watch_router(self) -> None:
        turbo = turbo_of(self.app)
        assert turbo is not None, "turbo is off"
        router = turbo._router

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self.served += 1
            await router(scope, receive, send)

        turbo._router = counted


class Twins:
    """Call it with a function that builds an app around a ledger, and with requests; functions between them change the app."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.ledger: Ledger = []
        """Of the twin that answers right now."""
        self.fast = False
        """Whether the twin that is being built will be accelerated."""

    @staticmethod
    def ask(
        line: str,
        *,
        headers: Sequence[tuple[str, str]] | Callable[[], Any] | None = (),
        body: bytes | None = None,
        json_body: Any = ...,
        events: Sequence[Event] | None = None,
        by: str = COMPILED,
        send_fails: int | None = None,
        **scope: Any,
    ) -> Asked:
        """`line` is a method and a target; keywords are of the scope, where None leaves a key out, and a function makes headers."""
        method, _, target = line.partition(" ")
        path, _, query = target.partition("?")
        if json_body is not ...:
            body = json.dumps(json_body).encode()
            headers = [("content-type", "application/json")]
        whole = {**_scope(method, path, query), "headers": _raw(headers), **scope}
        if events is None:
            events = [{"type": "http.request", "body": body or b"", "more_body": False}]
        kept = {name: value for name, value in whole.items() if value is not None}
        return Asked(kept, events, by, send_fails)

    def __call__(self, build: Build, *steps: Asked | str | Callable[[FastAPI], Any]) -> list[Answered]:
        """What both answered, if it is the same."""
        _endpoint_context_cache.clear()  # FastAPI's own; it knows functions by where they were in memory
        stock, fast = self._twin(build, fast=False), self._twin(build, fast=True)
        accelerate(fast.app)
        fast.watch_router()
        answers = []
        for number, step in enumerate(steps):
            if not isinstance(step, Asked | str):
                step(stock.app)
                step(fast.app)
                continue
            asked = self.ask(step) if isinstance(step, str) else step
            expected, found = self._answer(stock, asked), self._answer(fast, asked)
            if found != expected:
                pytest.fail(f"step {number} differs\n{_difference(found, expected)}", pytrace=False)
            by = FASTAPI if fast.served else COMPILED
            assert asked.by in (EITHER, by), f"step {number} was served by {by}"
            answers.append(found)
        return answers

    def _twin(self, build: Build, *, fast: bool) -> Twin:
        ledger: Ledger = []
        self.fast, self.ledger = fast, ledger
        return Twin(build(ledger), ledger)

    def _answer(self, twin: Twin, asked: Asked) -> Answered:
        twin.served, twin.sent, self.ledger = 0, [], twin.ledger
        twin.ledger.clear()
        scope = {**asked.scope, "headers": _fresh(asked.scope.get("headers"))}
        if "headers" not in asked.scope:
            del scope["headers"]
        scope["state"] = {}
        receive = _Receiving(twin.app, asked.events)
        raised = self._runner.run(_call(twin, scope, receive, asked.send_fails), context=copy_context())
        return Answered(twin.sent, raised, receive.count, _plain(twin.ledger), _told(scope, twin.app))


def _difference(found: Answered, expected: Answered) -> str:
    names = [each.name for each in fields(Answered) if getattr(found, each.name) != getattr(expected, each.name)]
    return "\n".join(
        f"{name}\n  FastAPI: {getattr(expected, name)}\n  turbo:   {getattr(found, name)}" for name in names
    )


def _scope(method: str, path: str, query: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }


def _raw(headers: Any) -> Any:
    if headers is None or callable(headers):
        return headers
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _fresh(headers: Any) -> Any:
    """A copy, since a twin may change them; a function makes what is no list."""
    return headers() if callable(headers) else list(headers or ())


class _Receiving:
    """The events in turn, and that the client has gone after the last."""

    def __init__(self, app: FastAPI, events: Sequence[Event]) -> None:
        self._app = app
        self._events = iter(events)
        self.count = 0

    async def __call__(self) -> Message:
        self.count += 1
        event = next(self._events, {"type": "http.disconnect"})
        if isinstance(event, Exception):
            raise event
        if callable(event):
            event = await event(self._app)
        return dict(event)


async def _call(twin: Twin, scope: Scope, receive: Receive, send_fails: int | None) -> list[str]:
    async def send(message: Message) -> None:
        if len(twin.sent) == send_fails:
            raise ConnectionResetError("the client has gone")
        twin.sent.append({**message, "headers": list(message["headers"])} if "headers" in message else dict(message))

    try:
        await asyncio.create_task(_as_coroutine(twin.app(scope, receive, send)))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- whatever comes is compared
        return _chain(error)
    return []


async def _as_coroutine(awaited: Any) -> None:
    await awaited


def _chain(error: BaseException | None) -> list[str]:
    """The error, and what caused it."""
    found: list[str] = []
    while error is not None and len(found) < 5:
        found.append(f"{type(error).__qualname__}: {ADDRESS.sub('0x', str(error))}")
        error = error.__cause__
    return found


def _plain(value: Any) -> Any:
    """Without what differs between two builds of the same app."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, str | bytes | int | float | bool | None) else ADDRESS.sub("0x", repr(value))


def _told(scope: Scope, app: FastAPI) -> dict[str, Any]:
    """What the scope tells of the route that served: instrumentation reads it."""
    of_fastapi = scope.get("fastapi")
    return {
        "endpoint": getattr(scope.get("endpoint"), "__qualname__", None),
        "route": _route(scope.get("route")),
        "path_params": [(name, type(value), value) for name, value in scope.get("path_params", {}).items()],
        "router": scope.get("router") is app.router,
        "app": scope.get("app") is app,
        "fastapi": None if of_fastapi is None else {key: _inclusion(value) for key, value in of_fastapi.items()},
    }


def _route(route: Any) -> Any:
    return route and (type(route).__name__, getattr(route, "path", None), getattr(route, "name", None))


def _inclusion(value: Any) -> Any:
    context = getattr(value, "include_context", None)
    return (type(value).__name__, context and context.prefix, getattr(value, "path", None))


@pytest.fixture(scope="session")
def twins() -> Iterator[Twins]:
    with asyncio.Runner() as runner:
        yield Twins(runner)
