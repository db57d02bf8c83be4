import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from leyden.turbo import accelerate, dispatch
from leyden.turbo.routes import candidates_of
from leyden.turbo.watching import watch

CHANGES: dict[str, Callable[[Any], Any]] = {
    "append": lambda items: items.append(4),
    "clear": lambda items: items.clear(),
    "extend": lambda items: items.extend([4]),
    "insert": lambda items: items.insert(0, 4),
    "pop": lambda items: items.pop(),
    "remove": lambda items: items.remove(1),
    "reverse": lambda items: items.reverse(),
    "sort": lambda items: items.sort(reverse=True),
    "del": lambda items: items.__delitem__(0),
    "+=": lambda items: items.__iadd__([4]),
    "*=": lambda items: items.__imul__(2),
    "[]=": lambda items: items.__setitem__(0, 9),
    "[:]=": lambda items: items.__setitem__(slice(0, 2), []),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_a_watched_list_is_told_and_made(change: Callable[[Any], Any]) -> None:
    owner, plain = SimpleNamespace(items=[1, 2, 3]), [1, 2, 3]
    told: list[str] = []
    items = watch(owner, "items", lambda: told.append("first"))
    assert watch(owner, "items", lambda: told.append("second")) is owner.items is items
    change(items)
    change(plain)
    assert (items, told) == (plain, ["first", "second"])


def test_a_copy_is_a_list_that_nobody_watches() -> None:
    owner = SimpleNamespace(items=[[1]])
    items = watch(owner, "items", lambda: None)
    for copied in (copy.copy(items), copy.deepcopy(items), pickle.loads(pickle.dumps(items)), items[:]):  # noqa: S301 -- our own
        assert type(copied) is list
        assert copied == [[1]]


def test_threads_that_come_at_once_wait_for_the_same_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/")
    async def home() -> str:
        return "hello"

    def slowly(router: Any) -> Any:
        sleep(0.1)
        return candidates_of(router)

    monkeypatch.setattr(dispatch, "candidates_of", slowly)
    accelerate(app)
    client = TestClient(app)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            assert [answer.json() for answer in pool.map(client.get, ["/"] * 4)] == ["hello"] * 4
            app.router.routes.append(app.router.routes[0])  # and again when they have changed
