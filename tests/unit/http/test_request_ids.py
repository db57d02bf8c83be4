from collections.abc import Callable

import pytest
from fastapi import FastAPI

from leyden.http import request_id
from leyden.http.request_ids import choose
from leyden.testing import client


@pytest.mark.parametrize("offered", ["0123456789abcdef", "a1b2c3d4-e5f6", "trace_1.2-three"])
def test_a_well_formed_id_of_the_client_is_kept(offered: str) -> None:
    assert choose(offered) == offered


@pytest.mark.parametrize(
    "offered", [None, "", "short", "a" * 129, "-starts-so", "two words", "a\nb" * 5, "编号编号编号编号", "<script>"]
)
def test_any_other_is_replaced(offered: str | None) -> None:
    made = choose(offered)
    assert made != offered
    assert len(made) == 32


def test_outside_of_a_request_there_is_none() -> None:
    assert request_id() is None


async def test_the_endpoint_sees_the_id_that_the_answer_carries(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(request_id_header="X-Trace")

    @app.get("/id")
    async def tell() -> str | None:
        return request_id()

    @app.get("/sync")
    def tell_from_a_thread() -> str | None:
        return request_id()

    async with client(app) as calling:
        own = await calling.get("/id", headers={"X-Trace": "mine-0001"})
        made = await calling.get("/sync")
        forged = await calling.get("/id", headers={"X-Trace": "bad id"})
    assert own.json() == own.headers["x-trace"] == "mine-0001"
    assert made.json() == made.headers["x-trace"]
    assert forged.json() != "bad id"
    assert request_id() is None
