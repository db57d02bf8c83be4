"""What stands around a compiled route, and what others do with the app meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

import fastapi.routing
import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request, Response, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config

from leyden.turbo import TurboWarning, accelerate, report
from leyden.turbo.switch import turbo_of


class Around:
    """Middleware that notes what passes and what the scope tells afterwards."""

    def __init__(self, app: ASGIApp, ledger: list[Any]) -> None:
        self.app = app
        self.ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            self.ledger.append((message["type"], message.get("status")))
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            self.ledger.append(repr(error))
            raise
        finally:
            self.ledger.append((scope["route"].path, scope["endpoint"].__name__, scope["path_params"]))


def failing(ledger: list[Any]) -> FastAPI:  # noqa: C901 -- many small functions
    """Errors of all kinds, handlers at all levels."""
    app = FastAPI()

    @app.get("/http/{status}")
    async def http(status: int) -> None:
        raise HTTPException(status, "detail", headers={"x-why": "because"})

    @app.get("/lookup")
    async def lookup(request: Request) -> None:
        request.scope["own"] = request
        request.state.mark = "mine"
        raise LookupError("lookup")

    @app.get("/value")
    async def value() -> None:
        raise ValueError("value")

    @app.get("/type")
    def in_thread() -> None:
        raise TypeError("type")

    @app.get("/late")
    async def late() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"part"
            raise LookupError("late")

        return StreamingResponse(parts())

    @app.get("/cancelled")
    async def cancelled() -> None:
        raise asyncio.CancelledError

    @app.get("/invalid")
    async def invalid(q: int) -> int:
        return q

    @app.get("/silent")
    async def silent() -> None:
        raise KeyboardInterruptOfSorts

    @app.exception_handler(LookupError)
    async def handled(request: Request, error: LookupError) -> JSONResponse:
        same = request.scope.get("own") is request
        return JSONResponse([str(error), same, getattr(request.state, "mark", None), request.scope["path"]], 418)

    @app.exception_handler(KeyboardInterruptOfSorts)
    async def nothing(_request: Request, _error: Exception) -> None:
        ledger.append("nothing")

    @app.exception_handler(410)
    def gone(request: Request, error: HTTPException) -> PlainTextResponse:
        return PlainTextResponse(f"gone {error.detail} {request.path_params}", 410)

    @app.exception_handler(ValueError)
    async def broken(_request: Request, _error: ValueError) -> None:
        raise RuntimeError("the handler is broken")

    return app


class KeyboardInterruptOfSorts(Exception):  # noqa: N818 -- an error that a handler answers with nothing
    pass


ERRORS = [
    "http/404",
    "http/204",
    "http/410",
    "http/x",
    "lookup",
    "value",
    "type",
    "late",
    "cancelled",
    "invalid",
    "silent",
]


WATCHED: list[tuple[Any, str]] = [
    (Request, "body"), (Request, "json"), (JSONResponse, "render"), (Response, "init_headers"), (json, "dumps"),
    *((fastapi.routing, name) for name in (
        "get_telemetry_data", "jsonable_encoder", "run_endpoint_function", "serialize_response", "solve_dependencies",
    )),
]  # fmt: skip
LOOKED_AT_ONCE: list[tuple[Any, str]] = [
    *((fastapi.routing, name) for name in (
        "_build_response_args", "_extract_endpoint_context", "get_request_handler", "is_body_allowed_for_status_code",
        "request_response", "run_in_threadpool", "wrap_app_handling_exceptions",
    )),
    *((APIRoute, name) for name in ("get_route_handler", "handle", "matches")),
    (APIRouter, "app"), (Response, "__call__"), (Request, "__init__"),
]  # fmt: skip
CASES = [
    *((*patch, when) for patch in WATCHED for when in ("before it is built", "before it starts", "later")),
    *((*patch, when) for patch in LOOKED_AT_ONCE for when in ("before it is built", "before it starts")),
]


@pytest.mark.parametrize(
    ("owner", "name", "when"), CASES, ids=[f"{case[0].__name__}.{case[1]} {case[2]}" for case in CASES]
)
def test_a_function_that_a_tool_has_replaced_is_called(
    twins: Any, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    original = getattr(owner, name)

    def replacement(*arguments: Any, **named: Any) -> Any:
        twins.ledger.append(name)
        return original(*arguments, **named)

    def replace(_app: FastAPI) -> None:
        monkeypatch.setattr(owner, name, replacement)

    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.post("/typed")
        async def typed(item: dict[str, int]) -> dict[str, int]:
            return item

        @app.post("/untyped")
        def untyped(item: dict[str, int]):  # type: ignore[no-untyped-def]
            return item

        return app

    asked = [twins.ask(f"POST {path}", json_body={"a": 1}, by="either") for path in ("/typed", "/untyped")]
    if when == "before it is built":
        replace(FastAPI())
    twins(build, *(asked if when == "later" else ()), replace, *asked)


def test_a_function_in_a_wrapper_of_its_own_class_is_called(twins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracers wrap in objects that pass for the function."""

    class Proxy:
        def __init__(self, wrapped: Any) -> None:
            self.wrapped = wrapped
            self.__code__ = wrapped.__code__

        def __call__(self, *arguments: Any, **named: Any) -> Any:
            twins.ledger.append("proxy")
            return self.wrapped(*arguments, **named)

        def __get__(self, instance: Any, _owner: Any) -> Any:
            return self if instance is None else partial(self, instance)

    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read() -> str:
            return "x"

        return app

    monkeypatch.setattr(Route, "handle", Proxy(Route.handle))
    (answer,) = twins(build, twins.ask("GET /", by="fastapi"))
    assert answer.ledger == ["proxy"]


def test_the_app_is_still_what_servers_take_for_asgi3() -> None:
    app = accelerate(FastAPI())
    assert asyncio.iscoroutinefunction(app.__call__)
    config = Config(app)
    config.load()
    assert config.interface == "asgi3"
    assert type(app) is FastAPI


def test_an_app_that_may_serve_in_ways_of_its_own_is_left_alone() -> None:
    class Own(FastAPI):
        pass

    class OwnRouter(APIRouter):
        pass

    routed = FastAPI()
    routed.router = OwnRouter()
    for app in (Own(), routed):
        with pytest.warns(TurboWarning, match="ways of its own"):
            assert accelerate(app) is app
        assert turbo_of(app) is None


def test_an_app_that_has_started_is_left_alone() -> None:
    app = FastAPI()
    app.middleware_stack = app.build_middleware_stack()
    with pytest.warns(TurboWarning, match="it has started"):
        accelerate(app)
    assert report(app) == []


def test_an_app_is_accelerated_once() -> None:
    app = accelerate(FastAPI())
    turbo = turbo_of(app)
    assert turbo_of(accelerate(app)) is turbo


def test_a_stack_that_a_tool_has_wrapped_is_not_left_out(twins: Any) -> None:
    """Instrumentation puts its middleware around what the app builds, and knows it by its class."""

    def wrap(ledger: list[Any], app: FastAPI) -> None:
        original = app.build_middleware_stack

        def build() -> ASGIApp:
            inner = original()
            assert isinstance(inner, ServerErrorMiddleware)
            return ServerErrorMiddleware(Around(inner, ledger))

        app.build_middleware_stack = build  # type: ignore[method-assign]  # as tools do

    def before(ledger: list[Any]) -> FastAPI:
        app = failing(ledger)
        wrap(ledger, app)
        return app

    def after(ledger: list[Any]) -> FastAPI:
        app = failing(ledger)
        app.state.wrap = lambda: wrap(ledger, app)
        return app

    asked = [f"GET /{error}" for error in ERRORS]
    (answer, *_) = twins(before, "GET /invalid?q=1", *asked)
    assert answer.ledger[0] == ["http.response.start", 200]
    (answer, *_) = twins(after, lambda app: app.state.wrap(), "GET /invalid?q=1", *asked)
    assert answer.ledger[0] == ["http.response.start", 200]


def test_a_router_that_is_replaced_before_the_start_is_the_one_that_serves(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read() -> str:
            return "first"

        return app

    def replace(app: FastAPI) -> None:
        router = APIRouter()

        @router.get("/")
        async def read() -> str:
            return "second"

        app.router = router

    first, second = twins(build, twins.ask("GET /", by="either"), replace, twins.ask("GET /", by="either"))
    assert first.sent == second.sent
    twins(build, replace, twins.ask("GET /", by="either"))


def test_apps_in_apps_answer_as_they_do(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        outer, inner = FastAPI(max_body_size=20), accelerate(failing(ledger)) if twins.fast else failing(ledger)

        @inner.post("/body")
        async def body(item: dict[str, int]) -> dict[str, int]:
            return item

        @outer.get("/top/{x}")
        async def top(x: int) -> int:
            return x

        outer.mount("/in/{z}", inner)
        outer.mount("/router", inner.router)
        outer.mount("/starlette", Starlette(routes=[Mount("/router", inner.router), Mount("/app", inner)]))
        return outer

    places = ("/in/1", "/router", "/starlette/app", "/starlette/router")
    asked = [twins.ask(f"GET {place}/{error}", by="either") for place in places for error in ERRORS]
    long = [{"a": 1}, {"a" * 30: 1}]
    asked += [twins.ask(f"POST {place}/body", json_body=body, by="either") for place in places for body in long]
    top = [twins.ask(f"GET /top/{x}", by="either") for x in ("1", "x")]
    twins(build, *top, *asked)


def test_a_router_without_the_layers_of_fastapi_fails_as_it_does(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read() -> str:
            return "x"

        @app.get("/bare")
        async def bare(request: Request) -> None:
            await app.router(
                {**request.scope, "path": "/", "fastapi_middleware_astack": None}, request.receive, request._send
            )

        return app

    (answer,) = twins(build, twins.ask("GET /bare", by="either"))
    assert answer.raised[0].startswith("AssertionError: fastapi_middleware_astack")


def test_bodies_that_are_too_long_are_refused_where_they_are(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app, router = FastAPI(max_body_size=20), APIRouter(max_body_size=30)

        async def body(item: dict[str, int]) -> dict[str, int]:
            return item

        app.post("/app")(body)
        app.post("/route", max_body_size=10)(body)
        router.post("/router")(body)
        app.include_router(router)
        return app

    for size in (3, 13, 23, 33):
        content = json.dumps({"a" * size: 1}).encode()
        chunks = [
            {"type": "http.request", "body": content[:9], "more_body": True},
            {"type": "http.request", "body": content[9:]},
        ]
        headers = [("content-type", "application/json")]
        for path in ("/app", "/route", "/router"):
            asked = [twins.ask(f"POST {path}", headers=headers, events=chunks, by="either")]
            asked.append(
                twins.ask(f"POST {path}", headers=[*headers, ("content-length", str(size))], body=content, by="either")
            )
            twins(build, *asked)


def test_limits_of_forms_are_kept(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app, router = FastAPI(), APIRouter(form_limits={"max_fields": 2})

        async def form(a: Annotated[list[str], Form()]) -> list[str]:
            return a

        app.post("/app")(form)
        app.post("/route", form_limits={"max_fields": 1})(form)
        router.post("/router")(form)
        app.include_router(router)
        return app

    headers = [("content-type", "application/x-www-form-urlencoded")]
    for count in (1, 2, 3):
        body = "&".join(["a=1"] * count).encode()
        paths = ("/app", "/route", "/router")
        twins(build, *(twins.ask(f"POST {path}", headers=headers, body=body, by="either") for path in paths))


def test_websockets_are_left_to_fastapi(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.websocket("/ws")
        async def talk(socket: WebSocket, q: int = 0) -> None:
            await socket.accept()
            await socket.send_json([q, await socket.receive_text()])
            await socket.close()

        @app.get("/ws")
        async def read() -> str:
            return "x"

        return app

    events = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hi"}]
    socket = twins.ask("GET /ws?q=1", type="websocket", subprotocols=[], events=events, by="fastapi")
    twins(build, socket, "GET /ws", socket)


def test_a_request_takes_the_context_of_its_task_along(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def name(request: Request) -> str:
            request.state.name = "set"
            return "x"

        @app.get("/")
        async def read(request: Request, _name: Annotated[str, Depends(name)]) -> list[Any]:
            return [request.state.name, request.scope["state"]]

        return app

    twins(build, "GET /")


def test_reports_say_what_is_compiled_and_why_the_rest_is_not() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/compiled")
    async def compiled(q: int) -> int:
        return q

    @app.get("/streams")
    async def streams() -> AsyncIterator[int]:
        yield 1

    app.mount("/sub", FastAPI())
    first, second, third = report(accelerate(app))
    assert (first.compiled, str(first)) == (True, "GET /compiled: compiled")
    assert "async def route(" in first.source
    assert str(second) == "GET /streams: served by FastAPI, it streams"
    assert str(third) == "* /sub: served by FastAPI, a mounted application"
