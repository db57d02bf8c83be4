"""Dependencies of further kinds, and how they are left."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SendingNoted:
    """Middleware that notes what is sent, so that the ledger shows what came before and after it."""

    def __init__(self, app: ASGIApp, ledger: list[Any]) -> None:
        self.app = app
        self.ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            self.ledger.append(message["type"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self.ledger.append("left")


def lifetimes(ledger: list[Any]) -> FastAPI:  # noqa: C901 -- many small functions
    """Dependencies of both lifetimes, sync and async, around endpoints that succeed, fail and stream."""
    app = FastAPI()
    app.add_middleware(SendingNoted, ledger=ledger)

    async def request_scoped(background: BackgroundTasks) -> AsyncIterator[str]:
        background.add_task(ledger.append, "background")
        ledger.append("enter request")
        try:
            yield "request"
        except Exception as error:
            ledger.append(repr(error))
            raise
        finally:
            ledger.append("leave request")

    def function_scoped(outer: Annotated[str, Depends(request_scoped)]) -> Iterator[str]:
        ledger.append("enter function")
        try:
            yield f"function in {outer}"
        finally:
            ledger.append("leave function")

    entered = Annotated[str, Depends(function_scoped, scope="function")]

    @app.get("/")
    async def read(a: entered) -> str:
        ledger.append("endpoint")
        return a

    @app.get("/refused")
    async def refused(a: entered) -> str:
        raise HTTPException(409, a)

    @app.get("/broken")
    async def broken(a: entered) -> str:
        raise LookupError(a)

    @app.get("/wrong")
    async def wrong(a: entered) -> int:
        return a  # type: ignore[return-value]  # the answer is refused while the function's scope is open

    @app.get("/stream")
    async def stream(a: entered) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            ledger.append("part")
            yield a.encode()

        return StreamingResponse(parts())

    @app.get("/invalid")
    async def invalid(a: entered, q: int) -> str:
        return f"{a} {q}"

    return app


def test_dependencies_of_a_function_are_left_before_the_answer_and_those_of_a_request_after_it(twins: Any) -> None:
    paths = ("/", "/refused", "/broken", "/wrong", "/stream", "/invalid", "/invalid?q=1")
    answer, *_ = twins(lifetimes, *(f"GET {path}" for path in paths))
    assert answer.ledger == [
        "enter request", "enter function", "endpoint", "leave function", "http.response.start", "http.response.body",
        "background", "leave request", "left",
    ]  # fmt: skip


def test_a_client_that_goes_while_the_answer_is_sent_leaves_dependencies_as_ever(twins: Any) -> None:
    twins(lifetimes, *(twins.ask("GET /", send_fails=number) for number in (0, 1)))


def test_a_dependency_that_swallows_the_error_of_an_endpoint_is_told_of(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def swallow() -> AsyncIterator[None]:
            try:
                yield
            except LookupError:
                return

        @app.get("/request", dependencies=[Depends(swallow)])
        async def for_request() -> None:
            raise LookupError

        @app.get("/function", dependencies=[Depends(swallow, scope="function")])
        async def for_function() -> None:
            raise LookupError

        return app

    request, _ = twins(build, "GET /request", "GET /function")
    assert request.raised[0].startswith("FastAPIError: Response not awaited")


def test_an_override_that_comes_late_is_entered_and_left_as_any_other(twins: Any) -> None:  # noqa: C901 -- many small functions
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def entered(request: Request) -> AsyncIterator[str]:
            ledger.append("enter")
            try:
                yield request.url.path
            except ValueError:
                ledger.append("swallowed")
            finally:
                ledger.append("leave")

        async def install() -> None:
            app.dependency_overrides[plain] = entered

        async def plain() -> str:
            return "plain"

        for scope in ("function", "request"):

            @app.get(f"/{scope}", dependencies=[Depends(install)])
            async def read(fail: str, a: Annotated[str, Depends(plain, scope=scope)]) -> str:
                if fail == "swallowed":
                    raise ValueError(a)
                if fail == "handled":
                    raise HTTPException(409, a)
                if fail == "raised":
                    raise LookupError(a)
                return a

        return app

    def clear(app: FastAPI) -> None:
        app.dependency_overrides.clear()

    for path in ("/function", "/request"):
        for fail in ("no", "swallowed", "handled", "raised"):
            twins(build, f"GET {path}?fail={fail}", clear, f"GET {path}")


def test_overrides_that_are_set_after_the_start_count_until_they_are_taken_away(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app, router = FastAPI(), APIRouter()

        async def user(name: str) -> str:
            ledger.append("user")
            return name

        @router.get("/")
        async def read(name: Annotated[str, Depends(user)]) -> str:
            return name

        app.include_router(router, prefix="/in", dependencies=[Depends(user)])
        app.state.user = user
        return app

    def override(app: FastAPI) -> None:
        app.dependency_overrides[app.state.user] = lambda: "stand-in"

    def take_away(app: FastAPI) -> None:
        app.dependency_overrides = {}

    stock = twins.ask("GET /in/", by="fastapi")
    twins(build, "GET /in/?name=x", override, stock, take_away, "GET /in/?name=x", override, stock)


def test_the_response_and_the_background_of_a_request_are_one_for_all_dependencies(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()
        app.add_middleware(SendingNoted, ledger=ledger)

        async def first(response: Response, background: BackgroundTasks) -> None:
            response.headers["x-a"] = "first"
            response.status_code = 202
            background.add_task(ledger.append, "first")

        async def second(response: Response, background: BackgroundTasks) -> None:
            response.headers["x-a"] += ", second"
            background.add_task(ledger.append, "second")

        @app.get("/", dependencies=[Depends(first), Depends(second)])
        async def read(background: BackgroundTasks, response: Response) -> int:
            return len(background.tasks) + len(response.headers)

        @app.get("/returned", dependencies=[Depends(first), Depends(second)])
        async def returned() -> Response:
            return PlainTextResponse("x")

        return app

    twins(build, "GET /", "GET /returned")


def test_what_fails_in_one_dependency_does_not_keep_others_from_being_checked(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def first(a: int) -> int:
            ledger.append("first")
            return a

        async def second(b: int, a: Annotated[int, Depends(first)]) -> int:
            ledger.append("second")
            return a + b

        async def third(c: int) -> int:
            ledger.append("third")
            return c

        @app.get("/{p}")
        async def read(
            p: int, b: Annotated[int, Depends(second)], c: Annotated[int, Depends(third)], d: int
        ) -> list[int]:
            return [p, b, c, d]

        return app

    queries = ("a=1&b=2&c=3&d=4", "a=x&b=2&c=3&d=4", "a=1&b=x&c=x&d=4", "a=x&b=x&c=3", "")
    twins(build, *(f"GET /{p}?{query}" for p in ("1", "x") for query in queries))
