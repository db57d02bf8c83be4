"""The end of an answer whose endpoint has failed goes out only if somebody inside has dealt with the error."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import FastAPI
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.testing import client

MakeApp = Callable[..., FastAPI]


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


class Excusing:
    """Ends what has broken with a word of its own, on purpose."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(dict(scope), receive, send)
        except ConnectionError:
            await send({"type": "http.response.body", "body": b"and so on"})


async def broken() -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"first row\n"
        raise ConnectionError

    return StreamingResponse(rows())


async def ends(app: FastAPI, path: str) -> list[bytes | type[Exception]]:
    """The parts of the body as the server gets them, the last of them in order, or the error instead of it."""
    sent: list[bytes | type[Exception]] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append(message.get("body", b""))
            if not message.get("more_body"):
                sent.append(b"END")

    requests: list[Message] = [{"type": "http.request"}]

    async def receive() -> Message:
        if not requests:
            await asyncio.Event().wait()  # the client stays
        return requests.pop()

    scope: Scope = {"type": "http", "method": "GET", "scheme": "http", "path": path, "query_string": b""}
    scope["headers"] = [(b"host", b"localhost")]
    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 -- what a server would catch
        sent.append(type(error))
    return sent


@pytest.mark.parametrize("layers", [(), (Passing,), (Passing, Passing), (Excusing, Passing)])
async def test_a_broken_stream_has_no_end_whatever_stands_around_it(
    make_app: MakeApp, layers: tuple[type[Passing | Excusing], ...]
) -> None:
    app = make_app()
    app.get("/broken")(broken)
    for layer in layers:
        app.add_middleware(layer)
    if Excusing in layers:
        assert await ends(app, "/broken") == [b"first row\n", b"and so on", b"", b"END"]
    else:
        assert await ends(app, "/broken") == [b"first row\n", ConnectionError]


async def test_a_broken_stream_of_a_mounted_app_with_batteries_has_no_end_either(make_app: MakeApp) -> None:
    outer, inner = make_app(), make_app()
    for app in (outer, inner):
        app.add_middleware(Passing)
    inner.get("/broken")(broken)
    outer.mount("/inner", inner)
    assert await ends(outer, "/inner/broken") == [b"first row\n", ConnectionError]


async def test_an_error_that_is_answered_inside_is_answered_in_whole(make_app: MakeApp) -> None:
    class Answering(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            try:
                return await call_next(request)
            except ZeroDivisionError:
                return PlainTextResponse("no such number", 404)

    app = make_app()

    @app.get("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    app.add_middleware(Answering)
    async with client(app) as http:
        answer = await http.get("/fail")
    assert (answer.status_code, answer.text) == (404, "no such number")


async def test_what_fails_after_the_answer_does_not_take_it_back(make_app: MakeApp) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    app = make_app()
    app.get("/fine")(lambda: PlainTextResponse("fine", background=BackgroundTask(fail)))
    app.add_middleware(Passing)
    assert await ends(app, "/fine") == [b"fine", b"", b"END", ZeroDivisionError]
