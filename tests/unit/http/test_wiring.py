import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from leyden.core.checks import Stage, run_checks
from leyden.core.resources import Resources
from leyden.http import HttpSettings, battery
from leyden.testing import client

MakeApp = Callable[..., FastAPI]


def test_the_stack_is_in_this_order() -> None:
    settings = HttpSettings(https_redirect=True, cors_origins=("https://app.example",))
    assert [layer.cls.__name__ for layer in battery(settings).middleware] == [  # type: ignore[attr-defined]
        "Identify",
        "Measure",
        "Drain",
        "Secure",
        "Hosts",
        "Https",
        "Cors",
        "GZipMiddleware",
        "BodyLimit",
        "Catch",
        "Deadline",
    ]


def test_what_is_off_is_not_in_the_stack() -> None:
    layers = battery(HttpSettings(gzip_minimum=None, deadline=None)).middleware
    assert {"Https", "Cors", "GZipMiddleware", "Deadline"}.isdisjoint(
        layer.cls.__name__  # type: ignore[attr-defined]
        for layer in layers
    )


class Raising:
    def __init__(self, app: ASGIApp, *, error: Exception) -> None:
        self.app = app
        self.error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raise self.error
        await self.app(scope, receive, send)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HTTPException(429), 429),
        (ExceptionGroup("a task group", [HTTPException(404)]), 404),
        (ValueError("secret"), 500),
        (ExceptionGroup("a task group", [ValueError("secret"), HTTPException(404)]), 500),
    ],
)
async def test_errors_of_a_middleware_added_later_are_problems(
    make_app: MakeApp, error: Exception, status: int
) -> None:
    app = make_app()
    app.add_middleware(Raising, error=error)
    async with client(app, raise_app_exceptions=False) as calling:
        answer = await calling.get("/")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "x-content-type-options" in answer.headers
    assert "secret" not in answer.text


async def test_the_client_is_told_that_the_server_closes_the_connection_after_a_failure(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/fail")
    async def fail() -> None:
        raise ValueError

    @app.get("/refuse")
    async def refuse() -> None:
        raise HTTPException(503)

    app.get("/fine")(lambda: "fine")
    async with client(app, raise_app_exceptions=False) as calling:
        answers = {path: await calling.get(path) for path in ("/fail", "/refuse", "/fine")}
    assert {path: answer.headers.get("connection") for path, answer in answers.items()} == {
        "/fail": "close",
        "/refuse": None,
        "/fine": None,
    }


async def test_a_middleware_of_starlettes_own_kind_works_inside(make_app: MakeApp) -> None:
    app = make_app()

    async def dispatch(request: Any, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-mine"] = "1"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    async with client(app) as calling:
        assert (await calling.get("/health/live")).headers["x-mine"] == "1"


async def test_security_headers_are_there_and_those_of_a_response_win(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/framed")
    async def framed() -> Response:
        return Response(headers={"X-Frame-Options": "SAMEORIGIN"})

    async with client(app) as calling:
        plain, framed_one = await calling.get("/nowhere"), await calling.get("/framed")
    assert plain.headers["x-frame-options"] == "DENY"
    assert framed_one.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert "strict-transport-security" not in plain.headers
    assert plain.headers["server-timing"].startswith("app;dur=")


async def test_hsts_goes_out_over_https(make_app: MakeApp) -> None:
    async with client(make_app(hsts=60), base_url="https://localhost") as calling:
        assert (await calling.get("/")).headers["strict-transport-security"] == "max-age=60"


async def test_plain_http_is_sent_to_https_except_probes(make_app: MakeApp) -> None:
    async with client(make_app(https_redirect=True)) as calling:
        answer = await calling.get("/page?x=1")
        assert (answer.status_code, answer.headers["location"]) == (307, "https://localhost/page?x=1")
        assert (await calling.get("/health/live")).status_code == 200


async def test_big_answers_are_compressed(make_app: MakeApp) -> None:
    app = make_app()
    app.get("/big")(lambda: "x" * 5000)
    async with client(app) as calling, calling.stream("GET", "/big", headers={"Accept-Encoding": "gzip"}) as answer:
        body = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == b'"' + b"x" * 5000 + b'"'


async def test_a_slow_request_is_warned_of_with_its_route(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(slow_request=0.01)

    @app.get("/slow/{x}")
    async def slow(x: int) -> int:
        await asyncio.sleep(0.03)
        return x

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"1"
            await asyncio.sleep(0.03)
            yield b"2"

        return StreamingResponse(parts())

    with caplog.at_level(logging.WARNING):
        async with client(app) as calling:
            await calling.get("/slow/7")
            await calling.get("/stream")
    [record] = [record for record in caplog.records if "was slow" in record.getMessage()]
    assert "/slow/{x}" in record.getMessage()


async def test_what_should_not_be_deployed_is_found() -> None:
    settings = HttpSettings(docs=True, cors_origins=("*",))
    exposed = await run_checks(battery(settings).checks, Resources({}), Stage.DEPLOY)
    closed = await run_checks(battery(HttpSettings(hosts=("shop.example",))).checks, Resources({}), Stage.DEPLOY)
    assert [finding.id for finding in exposed] == ["http.W001", "http.W002", "http.W003"]
    assert closed == []


@pytest.mark.parametrize("kind", [500, Exception])
async def test_an_app_with_a_handler_of_its_own_for_unexpected_errors_answers_them_itself(
    make_app: MakeApp, kind: int | type[Exception]
) -> None:
    async def own(_request: Request, _error: Exception) -> PlainTextResponse:
        return PlainTextResponse("ours", 500)

    app = make_app(fastapi={"exception_handlers": {kind: own}})

    @app.get("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    async with client(app, raise_app_exceptions=False) as http:
        answer = await http.get("/fail")
    assert (answer.status_code, answer.text) == (500, "ours")
