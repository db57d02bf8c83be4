"""The client inside the process runs the app as a server would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request

from leyden import Battery, Resources, create_app, resource
from leyden.core import Clock, ClockDep, ConfigurationError, installed
from leyden.testing import FrozenClock, client


@dataclass
class Lamp:
    colour: str = "white"
    lit: bool = False


LampDep = Annotated[Lamp, Depends(resource(Lamp))]


def lamp_app() -> tuple[FastAPI, Lamp]:
    lamp = Lamp()

    @asynccontextmanager
    async def lifespan(_resources: Resources) -> AsyncIterator[Lamp]:
        lamp.lit = True
        yield lamp
        lamp.lit = False

    app = create_app([Battery(name="lamp", provides=Lamp, lifespan=lifespan)])

    @app.get("/colour")
    async def colour(lamp: LampDep) -> str:
        return lamp.colour

    @app.get("/now")
    async def now(clock: ClockDep) -> str:
        return clock.now().isoformat()

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    return app, lamp


async def test_resources_run_while_the_client_is_open_and_stop_with_it() -> None:
    app, lamp = lamp_app()
    async with client(app) as http:
        assert lamp.lit
        assert (await http.get("/colour")).json() == "white"
    assert not lamp.lit


async def test_an_override_replaces_a_resource_for_one_run_only() -> None:
    app, lamp = lamp_app()
    async with client(app, overrides={Lamp: Lamp("red")}) as http:
        assert (await http.get("/colour")).json() == "red"
        assert not lamp.lit
    assert installed(app).overrides == {}
    async with client(app) as http:
        assert (await http.get("/colour")).json() == "white"


async def test_overrides_are_put_back_when_the_test_fails() -> None:
    app, _ = lamp_app()
    with pytest.raises(AssertionError):
        async with client(app, overrides={Lamp: Lamp("red")}):
            raise AssertionError
    assert installed(app).overrides == {}


async def test_overrides_already_on_the_app_stay_beside_those_of_the_client() -> None:
    app, _ = lamp_app()
    installed(app).overrides[Lamp] = Lamp("green")
    clock = FrozenClock()
    async with client(app, overrides={Clock: clock}) as http:
        assert (await http.get("/colour")).json() == "green"
        assert (await http.get("/now")).json() == clock.now().isoformat()
    assert set(installed(app).overrides) == {Lamp}


async def test_the_state_of_the_apps_own_lifespan_reaches_the_request() -> None:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}

    app = create_app([], lifespan=lifespan)

    @app.get("/")
    async def greet(request: Request) -> str:
        greeting: str = request.state.greeting
        return greeting

    async with client(app) as http:
        assert (await http.get("/")).json() == "hello"


async def test_an_unhandled_exception_reaches_the_test_unless_it_wants_the_answer() -> None:
    app, _ = lamp_app()
    async with client(app) as http:
        with pytest.raises(ZeroDivisionError):
            await http.get("/broken")
    async with client(app, raise_app_exceptions=False) as http:
        assert (await http.get("/broken")).status_code == 500


async def test_a_plain_fastapi_app_may_be_tested_but_has_nothing_to_override() -> None:
    app = FastAPI()
    async with client(app) as http:
        assert (await http.get("/")).status_code == 404
    with pytest.raises(ConfigurationError, match="no batteries"):
        async with client(app, overrides={Lamp: Lamp()}):
            pass
