import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette

from leyden import Battery, create_app
from leyden.cli import compiled
from leyden.cli.inspection import picture_of
from leyden.core.project import Project
from leyden.turbo import RouteReport


@pytest.mark.usefixtures("project")
def test_json_says_what_there_is(leyden: Callable[..., Any]) -> None:
    picture = json.loads(leyden("inspect", "--json").output)

    assert picture["batteries"][0]["name"] == "hello"
    assert picture["batteries"][0]["commands"] == ["hi"]
    assert picture["routes"] == [{"path": "/", "methods": ["GET"], "name": "home", "battery": None}]


@pytest.mark.usefixtures("project")
def test_tables_say_it_to_people(leyden: Callable[..., Any]) -> None:
    output = leyden("inspect").output

    assert "Middleware, outermost first" in output
    assert "leyden hi" in output
    assert "GET" in output


def test_a_mount_belongs_to_the_battery_that_brought_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = APIRouter(), APIRouter()
    first.mount("/first", Starlette())
    second.mount("/second", Starlette())
    app = create_app([Battery(name="one", routers=(first,)), Battery(name="two", routers=(second,))])
    monkeypatch.setattr(Project, "app", app)

    routes = picture_of(Project(tmp_path, "app:app")).routes

    assert [(route.path, route.battery) for route in routes] == [("/first", "one"), ("/second", "two")]


@pytest.mark.usefixtures("project")
def test_the_resources_are_those_of_the_running_app(leyden: Callable[..., Any]) -> None:
    shown = leyden("inspect").output
    running = leyden("shell", input="print(', '.join(kind.__name__ for kind in resources.kinds()))\n").stdout

    assert running.startswith("Clock, ")
    assert f"Resources  {running}" in shown


@pytest.mark.usefixtures("project")
def test_turbo_is_shown_a_route_a_line(leyden: Callable[..., Any]) -> None:
    output = leyden("inspect", "--turbo").output

    assert "GET /  yes" in output
    assert "1 of 1 routes are compiled." in output
    assert json.loads(leyden("inspect", "--turbo", "--json").output) == [
        {"route": "GET /", "compiled": True, "why": None}
    ]


@pytest.mark.usefixtures("project")
def test_the_function_of_a_route_can_be_read(leyden: Callable[..., Any]) -> None:
    output = leyden("inspect", "--code", "/").output
    assert "GET /" in output
    assert "async def route(scope, receive, send, stock, back):" in output

    missing = leyden("inspect", "--code", "/nowhere")
    assert missing.exit_code
    assert "There is no route /nowhere." in str(missing.exception or missing.output)


@pytest.mark.usefixtures("project")
def test_what_would_be_left_out_is_refused(leyden: Callable[..., Any]) -> None:
    for option in ("--turbo", "--json"):
        assert leyden("inspect", "--code", "/", option).exit_code == 2


@pytest.mark.usefixtures("project")
def test_a_reason_is_shown_as_it_is(leyden: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app([])
    monkeypatch.setattr(Project, "app", app)
    assert "0 of 0 routes are compiled." in leyden("inspect", "--turbo").output
    monkeypatch.setattr(compiled, "report", lambda _app: [RouteReport("GET /", "/", why="it reads a list[int]")])
    assert "it reads a list[int]" in leyden("inspect", "--turbo").output
    assert "it reads a list[int]" in leyden("inspect", "--code", "/").output


@pytest.mark.usefixtures("project")
def test_an_app_without_turbo_says_so(leyden: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "app", FastAPI())
    told = leyden("inspect", "--turbo")
    assert told.exit_code
    assert "Turbo is off for this app" in str(told.exception or told.output)
