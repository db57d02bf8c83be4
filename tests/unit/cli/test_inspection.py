import json
from collections.abc import Callable
from typing import Any

import pytest


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
