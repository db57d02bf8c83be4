from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI

from leyden.testing import client

MakeApp = Callable[..., FastAPI]
BROWSER = {"Accept": "text/html,*/*"}


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> FastAPI:
    (tmp_path / "index.html").write_text("the page")
    made = make_app()
    router = APIRouter(prefix="/api")
    router.get("/things")(lambda: "things")
    router.get("/slashed/")(lambda: "slashed")
    made.include_router(router)
    made.frontend("/", directory=tmp_path, fallback="index.html")
    return made


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nowhere", "/api/things/7", "/api/README", "/api/../api/x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
async def test_an_unknown_path_of_the_api_is_a_problem_for_every_client(app: FastAPI, method: str, path: str) -> None:
    async with client(app, headers=BROWSER) as calling:
        answer = await calling.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == 404 or (path, method) == ("/api/README", method)


async def test_everything_else_under_the_prefix_works_as_without_it(app: FastAPI) -> None:
    async with client(app, headers=BROWSER) as calling:
        assert (await calling.get("/api/things")).json() == "things"
        refused = await calling.post("/api/things")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
        moved = await calling.get("/api/slashed")
        assert (moved.status_code, moved.headers["location"]) == (307, "http://localhost/api/slashed/")
        assert (await calling.get("/some/page")).text == "the page"
        assert (await calling.get("/apiary")).text == "the page"


async def test_without_a_front_end_and_without_a_prefix_it_is_a_404_too(make_app: MakeApp) -> None:
    async with client(make_app(api_prefix="")) as calling:
        answer = await calling.get("/api/nowhere", headers=BROWSER)
    assert answer.json()["code"] == "not_found"
