import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.applications import Starlette

from leyden import Battery, create_app
from leyden.cli.inspection import picture_of
from leyden.core.project import Project


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
