"""The app around the routes: its scope, its handlers, its middleware, and what tools do to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import fastapi.routing
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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


def test_the_scope_tells_which_route_serves(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app, router, deeper = FastAPI(), APIRouter(prefix="/r"), APIRouter()
        app.add_middleware(Around, ledger=ledger)

        async def look(request: HTTPConnection) -> None:
            ledger.append(request.scope["route"].path)
            ledger.append(sorted(request.scope.get("fastapi", {})))
            ledger.append(request.scope["router"] is app.router)
            ledger.append(str(request.url_for("top", x="1")))

        @app.get("/first/{x}", dependencies=[Depends(look)])
        async def first(x: str) -> str:
            return x

        @router.get("/one/{x}", dependencies=[Depends(look)])
        @deeper.get("/two/{y}/{x}")
        async def included(x: str) -> str:
            return x

        router.include_router(deeper, prefix="/deep", dependencies=[Depends(look)])
        app.include_router(router)
        app.include_router(router, prefix="/again")

        @app.get("/top/{x}", dependencies=[Depends(look)])
        async def top(x: str) -> str:
            return x

        return app

    paths = ("/first/1", "/r/one/1", "/r/deep/two/2/1", "/again/r/one/1", "/again/r/deep/two/2/1", "/top/1")
    twins(build, *(f"GET {path}" for path in paths))
    twins(build, *(twins.ask(f"GET /api{path}", root_path="/api") for path in paths))
    twins(build, *(twins.ask(f"GET {path}", path_params={"before": 1}, router="other") for path in paths))


def test_what_others_have_put_beside_what_fastapi_tells_stays_there(twins: Any) -> None:
    class Marking:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            scope["fastapi"] = {"mark": "mine"}
            await self.app(scope, receive, send)

    def build(_ledger: list[Any]) -> FastAPI:
        app, router = FastAPI(), APIRouter()
        app.add_middleware(Marking)

        @router.get("/in")
        @app.get("/own")
        async def read() -> str:
            return "x"

        app.include_router(router)
        return app

    own, included = twins(build, "GET /own", "GET /in")
    assert [*own.told["fastapi"]] == ["mark"]
    assert {*included.told["fastapi"]} > {"mark"}


def test_the_exit_stacks_and_handlers_of_fastapi_are_in_the_scope(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def enter(request: Request) -> None:
            for name in ("fastapi_function_astack", "fastapi_inner_astack", "fastapi_middleware_astack"):
                stack: AsyncExitStack = request.scope[name]
                stack.callback(ledger.append, name)
            ledger.append(sorted(str(key) for key in request.scope["starlette.exception_handlers"][0]))

        @app.get("/", dependencies=[Depends(enter)])
        async def read() -> str:
            ledger.append("endpoint")
            return "x"

        @app.get("/broken")
        async def broken(request: Request) -> str:
            await enter(request)
            raise LookupError

        @app.exception_handler(LookupError)
        async def handled(request: Request, _error: LookupError) -> PlainTextResponse:
            ledger.append([type(request.scope[name]).__name__ for name in request.scope if name.startswith("fastapi_")])
            return PlainTextResponse("handled")

        @app.get("/plain")
        async def plain() -> str:
            raise LookupError

        return app

    answer, *_ = twins(build, "GET /", "GET /broken", "GET /plain")
    assert answer.ledger[1:] == [
        "endpoint", "fastapi_function_astack", "fastapi_inner_astack", "fastapi_middleware_astack",
    ]  # fmt: skip


@pytest.mark.parametrize("handlers", [True, False])
def test_what_is_entered_into_the_stacks_of_fastapi_is_left_when_fastapi_leaves_it(  # noqa: C901 -- many small functions
    twins: Any,
    handlers: bool,  # noqa: FBT001
) -> None:
    def build(ledger: list[Any]) -> FastAPI:  # noqa: C901 -- as above
        app = FastAPI()
        app.add_middleware(Around, ledger=ledger)

        @asynccontextmanager
        async def entered(name: str, how: str) -> AsyncIterator[None]:
            ledger.append(f"enter {name}")
            try:
                yield
            except LookupError as error:
                ledger.append(repr(error))
                if how == "raise":
                    raise
            ledger.append(f"leave {name}")
            if how == "fail":
                raise ValueError(name)

        async def enter(request: Request, stack: str, how: str = "raise") -> None:
            await request.scope[f"fastapi_{stack}_astack"].enter_async_context(entered(stack, how))

        @app.get("/plain", dependencies=[Depends(enter)])
        async def plain(background: BackgroundTasks) -> str:
            background.add_task(ledger.append, "background")
            return "x"

        @app.get("/broken", dependencies=[Depends(enter)])
        async def broken() -> str:
            raise LookupError("broken")

        @app.get("/cancelled", dependencies=[Depends(enter)])
        async def cancelled() -> str:
            raise asyncio.CancelledError

        @app.get("/stream")
        async def stream(request: Request, stack: str, how: str = "raise", fail: str = "no") -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                await enter(request, stack, how)
                yield b"a"
                if fail == "yes":
                    raise LookupError("in the middle")

            if fail != "no":
                await enter(request, "inner", how)
            return StreamingResponse(parts())

        @app.get("/missing", dependencies=[Depends(enter)])
        async def missing() -> FileResponse:
            return FileResponse("there-is-no-such-file")

        if handlers:

            @app.exception_handler(LookupError)
            @app.exception_handler(ValueError)
            async def handled(_request: Request, error: Exception) -> PlainTextResponse:
                return PlainTextResponse(repr(error), 418)

        return app

    hows = [f"{path}?stack={stack}&how={how}" for path in ("/plain", "/broken", "/missing", "/stream")
            for stack in ("inner", "function") for how in ("raise", "swallow", "fail")]  # fmt: skip
    more = [f"/stream?stack={stack}&how={how}&fail={fail}" for stack in ("inner", "function")
            for how in ("raise", "swallow", "fail") for fail in ("yes", "later")]  # fmt: skip
    answer, *_ = twins(build, *(f"GET {path}" for path in (*hows, *more, "/cancelled?stack=inner")))
    assert answer.ledger[0] == "enter inner"
    assert answer.ledger[-3:-1] == ["background", "leave inner"]


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


def test_errors_go_to_the_handlers_that_fastapi_would_ask_with_the_request_of_the_endpoint(twins: Any) -> None:
    answers = twins(failing, *(f"GET /{error}" for error in ERRORS))
    by_name = dict(zip(ERRORS, answers, strict=True))
    assert by_name["lookup"].sent[1]["body"] == b'["lookup",true,"mine","/lookup"]'
    assert by_name["late"].raised[0] == "RuntimeError: Caught handled exception, but response already started."
    assert by_name["type"].sent[0]["status"] == 500


@pytest.mark.parametrize("handler", [500, Exception, RequestValidationError, HTTPException])
@pytest.mark.parametrize("middleware", [True, False])
def test_handlers_of_the_app_are_asked_with_and_without_middleware(twins: Any, handler: Any, middleware: bool) -> None:  # noqa: FBT001
    def build(ledger: list[Any]) -> FastAPI:
        app = failing(ledger)

        @app.exception_handler(handler)
        async def own(request: Request, error: Exception) -> JSONResponse:
            ledger.append(repr(error))
            return JSONResponse([type(error).__name__, dict(request.path_params), request.method], 599)

        if middleware:
            app.add_middleware(Around, ledger=ledger)
        return app

    twins(build, *(f"GET /{error}" for error in ERRORS))


def test_middleware_sees_every_request_and_may_answer_itself(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = failing(ledger)
        app.add_middleware(Around, ledger=ledger)
        app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"], allow_headers=["x"])

        @app.middleware("http")
        async def own(request: Request, call_next: Any) -> Any:
            if request.url.path == "/teapot":
                return PlainTextResponse("teapot", 418)
            response = await call_next(request)
            response.headers["x-own"] = "own"
            return response

        return app

    origin = [("origin", "https://a.example")]
    preflight = [*origin, ("access-control-request-method", "GET")]
    twins(
        build,
        twins.ask("OPTIONS /invalid", headers=preflight),
        twins.ask("GET /invalid?q=1", headers=origin),
        twins.ask("GET /teapot"),
        *(twins.ask(f"GET /{error}", headers=origin) for error in ERRORS if error != "cancelled"),
    )


def test_an_app_that_starts_builds_its_stack_before_the_first_request(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
            ledger.append("start")
            app.state.started = app.middleware_stack is not None
            yield {"of": "lifespan"}
            ledger.append("stop")

        app = FastAPI(lifespan=lifespan)

        @app.get("/")
        async def read(request: Request) -> bool:
            return bool(app.state.started) and hasattr(request.app.state, "started")

        return app

    def start(app: FastAPI) -> None:
        events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Any:
            return next(events)

        async def send(_message: Message) -> None:
            pass

        async def run() -> None:
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

        with asyncio.Runner() as runner:
            runner.run(run())

    (answer,) = twins(build, start, "GET /")
    assert answer.sent[1]["body"] == b"true"


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
