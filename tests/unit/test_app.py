"""The factory adds batteries to a FastAPI app and leaves the rest of it alone."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from leyden import Battery, LeydenError, Resources, create_app, install, resource
from leyden.core import BatteryOrderError, ConfigurationError, installed
from leyden.testing import client
from leyden.turbo.switch import turbo_of

Log = list[str]


class Lamp:
    def __init__(self, colour: str = "white") -> None:
        self.colour = colour


LampDep = Annotated[Lamp, Depends(resource(Lamp))]


class TeapotError(LeydenError):
    """This is a teapot."""

    status = 418
    code = "teapot"


def lamp(log: Log | None = None, *, colour: str = "white") -> Battery:
    log = [] if log is None else log

    @asynccontextmanager
    async def lifespan(_resources: Resources) -> AsyncIterator[Lamp]:
        log.append("lamp on")
        yield Lamp(colour)
        log.append("lamp off")

    router = APIRouter()

    @router.get("/lamp")
    async def read(lamp: LampDep) -> str:
        return lamp.colour

    @router.websocket("/lamp")
    async def watch(socket: WebSocket, lamp: LampDep) -> None:
        await socket.accept()
        await socket.send_text(lamp.colour)
        await socket.close()

    return Battery(name="lamp", provides=Lamp, lifespan=lifespan, routers=(router,))


class Tag:
    """Middleware that writes its name in the order of being passed."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("tags", []).append(self.name)
        await self.app(scope, receive, send)


def tags(name: str, *tags: str) -> Battery:
    return Battery(name=name, middleware=tuple(Middleware(Tag, name=tag) for tag in tags))


async def answer(_request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"battery says {type(error).__name__}", 499)


async def own_answer(_request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"app says {type(error).__name__}", 498)


async def test_a_plain_fastapi_app_comes_back_with_the_keywords_given() -> None:
    app = create_app([], title="Shop", version="3")
    assert type(app) is FastAPI
    assert (app.title, app.version) == ("Shop", "3")


async def test_documentation_from_a_foreign_host_is_off_unless_asked_for() -> None:
    async with client(create_app([])) as http:
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert (await http.get(path)).status_code == 404
    async with client(create_app([], openapi_url="/openapi.json")) as http:
        assert (await http.get("/openapi.json")).status_code == 200
    async with client(create_app([], docs_url="/docs")) as http:
        assert (await http.get("/docs")).status_code == 200


async def test_endpoints_of_a_battery_get_its_resource() -> None:
    log: Log = []
    async with client(create_app([lamp(log)])) as http:
        assert (await http.get("/lamp")).json() == "white"
    assert log == ["lamp on", "lamp off"]


def test_a_socket_gets_the_same_resource() -> None:
    with TestClient(create_app([lamp(colour="red")])) as http, http.websocket_connect("/lamp") as socket:
        assert socket.receive_text() == "red"


async def test_two_apps_in_one_process_do_not_know_each_other() -> None:
    one, two = create_app([lamp(colour="one")]), create_app([lamp(colour="two")])
    async with client(one) as first, client(two) as second:
        assert (await first.get("/lamp")).json() == "one"
        assert (await second.get("/lamp")).json() == "two"


async def test_one_battery_value_may_serve_two_apps() -> None:
    log: Log = []
    shared = lamp(log)
    async with client(create_app([shared])) as first, client(create_app([shared])) as second:
        assert (await first.get("/lamp")).json() == (await second.get("/lamp")).json() == "white"
    assert log == ["lamp on", "lamp on", "lamp off", "lamp off"]


async def test_an_app_can_start_again_after_it_stopped() -> None:
    log: Log = []
    app = create_app([lamp(log)])
    for _ in range(2):
        async with client(app) as http:
            assert (await http.get("/lamp")).json() == "white"
        assert installed(app).resources is None
    assert log == ["lamp on", "lamp off"] * 2


async def test_a_call_before_the_lifespan_says_what_is_missing() -> None:
    http = TestClient(create_app([lamp()]))  # not entered: no lifespan
    answer = http.get("/lamp")
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("Lamp is not running: the app's lifespan has not started.")
    http.close()


def test_the_list_is_checked_before_the_app_is_touched() -> None:
    app = FastAPI()
    routes = len(app.routes)
    with pytest.raises(BatteryOrderError):
        install(app, [lamp(), Battery(name="needy", requires=("data",))])
    assert len(app.routes) == routes
    install(app, [lamp()])


def test_batteries_are_installed_once_an_app() -> None:
    app = create_app([lamp()])
    with pytest.raises(ConfigurationError, match="has its batteries already"):
        install(app, [tags("other")])


async def test_an_app_that_has_started_takes_no_battery() -> None:
    app = FastAPI()
    async with client(app) as http:
        await http.get("/")
    with pytest.raises(ConfigurationError, match="has started already"):
        install(app, [lamp()])


def test_an_app_without_batteries_says_how_to_get_some() -> None:
    with pytest.raises(ConfigurationError, match=r"leyden\.create_app"):
        installed(FastAPI())


async def test_middleware_stands_in_the_order_of_the_list_outside_the_apps_own() -> None:
    app = FastAPI()
    app.add_middleware(Tag, name="own")

    @app.get("/tags")
    async def read(request: Request) -> list[str]:
        passed: list[str] = request.scope["tags"]
        return passed

    install(app, [tags("first", "a", "b"), tags("second", "c")])
    async with client(app) as http:
        assert (await http.get("/tags")).json() == ["a", "b", "c", "own"]


async def test_middleware_an_app_adds_after_its_batteries_stands_inside_them_in_fastapis_order() -> None:
    app = create_app([tags("battery", "a", "b")])
    app.add_middleware(Tag, name="inner")
    app.add_middleware(Tag, name="outer")

    @app.get("/tags")
    async def read(request: Request) -> list[str]:
        passed: list[str] = request.scope["tags"]
        return passed

    async with client(app) as http:
        assert (await http.get("/tags")).json() == ["a", "b", "outer", "inner"]


async def test_the_innermost_middleware_of_a_battery_stands_inside_all_that_the_app_adds_before_and_after() -> None:
    app = FastAPI()
    app.add_middleware(Tag, name="before")

    @app.get("/tags")
    async def read(request: Request) -> list[str]:
        passed: list[str] = request.scope["tags"]
        return passed

    install(app, [Battery(name="near", innermost=(Middleware(Tag, name="near"),)), tags("far", "far")])
    app.add_middleware(Tag, name="after")
    async with client(app) as http:
        assert (await http.get("/tags")).json() == ["far", "after", "before", "near"]


def failing_app(**fastapi: Any) -> FastAPI:
    app = FastAPI(**fastapi)

    @app.get("/number/{number}")
    async def number(number: int) -> int:
        if number < 0:
            raise HTTPException(400)
        if number == 0:
            raise ZeroDivisionError
        raise TeapotError

    return app


HANDLERS: dict[int | type[Exception], Any] = {
    HTTPException: answer,
    RequestValidationError: answer,
    ZeroDivisionError: answer,
}


async def test_handlers_of_a_battery_replace_the_stock_ones() -> None:
    app = failing_app()
    install(app, [Battery(name="errors", exception_handlers=HANDLERS)])
    async with client(app) as http:
        for path in ("-1", "none", "0"):
            assert (await http.get(f"/number/{path}")).status_code == 499


async def test_handlers_the_app_had_stay_its_own() -> None:
    app = failing_app(exception_handlers={HTTPException: own_answer, ZeroDivisionError: own_answer})
    install(app, [Battery(name="errors", exception_handlers=HANDLERS)])
    async with client(app) as http:
        assert (await http.get("/number/-1")).status_code == 498
        assert (await http.get("/number/0")).status_code == 498
        assert (await http.get("/number/none")).status_code == 499


async def test_a_leyden_error_is_answered_with_its_status_where_no_battery_does_better() -> None:
    app = failing_app()
    install(app, [])
    async with client(app) as http:
        answered = await http.get("/number/1")
    assert (answered.status_code, answered.json()) == (418, {"detail": "This is a teapot."})


async def test_the_apps_own_lifespan_runs_inside_the_batteries() -> None:
    log: Log = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        assert installed(app).resources is not None
        log.append("app on")
        yield
        log.append("app off")

    async with client(create_app([lamp(log)], lifespan=lifespan)):
        pass
    assert log == ["lamp on", "app on", "app off", "lamp off"]


async def test_resources_close_when_the_apps_own_lifespan_fails() -> None:
    log: Log = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    app = create_app([lamp(log)], lifespan=lifespan)
    with pytest.raises(ZeroDivisionError):
        async with client(app):
            pytest.fail("must not start")
    assert installed(app).resources is None


async def test_no_catch_all_of_an_existing_app_hides_the_routes_of_a_battery() -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    async def everything(path: str) -> str:
        return f"everything at {path}"

    install(app, [lamp()])
    async with client(app) as http:
        assert (await http.get("/lamp")).json() == "white"
        assert (await http.get("/other")).json() == "everything at other"


async def test_an_apps_own_handler_of_unexpected_errors_answers_under_either_name() -> None:
    for own in (500, Exception):
        app = FastAPI(exception_handlers={own: own_answer})

        @app.get("/")
        async def fail() -> None:
            raise ZeroDivisionError

        install(app, [Battery(name="errors", exception_handlers={Exception: answer})])
        async with client(app, raise_app_exceptions=False) as http:
            assert (await http.get("/")).status_code == 498


async def test_a_mounted_app_gets_the_resources_of_the_app_around_it() -> None:
    inner, app = FastAPI(), create_app([lamp(colour="green")])

    @inner.get("/")
    async def read(lamp: LampDep) -> str:
        return lamp.colour

    app.mount("/inner", inner)
    async with client(app) as http:
        assert (await http.get("/inner/")).json() == "green"


def test_turbo_is_on_unless_it_is_turned_off() -> None:
    assert turbo_of(create_app([])) is not None
    assert turbo_of(create_app([], turbo=False)) is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("moved", [False, True])
def test_a_fastapi_that_turbo_does_not_know_serves_by_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, moved: bool
) -> None:
    """Also one in which what turbo reads is somewhere else, so that it cannot even be loaded."""
    if moved:
        monkeypatch.setitem(sys.modules, "leyden.turbo.dispatch", None)
    else:
        monkeypatch.setattr("leyden.turbo.internals.KNOWN", {})
    app = create_app([])

    @app.get("/")
    async def home() -> str:
        return "hello"

    assert TestClient(app).get("/").json() == "hello"
    assert turbo_of(app) is None
    assert "not known to turbo" in caplog.text
