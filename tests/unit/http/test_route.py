from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from leyden.core import Events
from leyden.core.resources import installed
from leyden.http import RequestFinished
from leyden.testing import client


async def plain(_request: Request) -> Response:
    return PlainTextResponse("plain")


def nothing() -> None:
    return None


@pytest.fixture
def app(make_app: Callable[..., FastAPI], tmp_path: Path) -> FastAPI:
    (tmp_path / "file.txt").write_text("file")
    made = make_app()
    made.get("/top/{x}")(nothing)
    inner, outer, nested = APIRouter(prefix="/in"), APIRouter(prefix="/out"), APIRouter(prefix="/nested")
    inner.get("/{x}")(nothing)
    inner.add_route("/plain/{y}", plain)
    outer.include_router(inner)
    below = FastAPI()
    below.get("/s/{x}")(nothing)
    nested.get("/{x}")(nothing)
    below.include_router(nested)
    outer.mount("/files", StaticFiles(directory=tmp_path))
    outer.mount("/inside", below)
    made.include_router(outer, prefix="/v1")
    made.mount("/below", below)
    made.mount("/static", StaticFiles(directory=tmp_path))
    made.mount("/star", Starlette(routes=[Route("/{y}", plain)]))
    made.frontend("/", directory=tmp_path, fallback=None)
    return made


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/top/1", "/top/{x}"),
        ("/v1/out/in/1", "/v1/out/in/{x}"),
        ("/v1/out/plain/1", "/v1/out/plain/{y}"),
        ("/v1/inside/s/1", "/v1/inside/s/{x}"),
        ("/v1/inside/nested/1", "/v1/inside/nested/{x}"),
        ("/v1/files/file.txt", "/v1/files"),
        ("/below/s/1", "/below/s/{x}"),
        ("/below/nested/1", "/below/nested/{x}"),
        ("/static/file.txt", "/static"),
        ("/star/1", "/star/{y}"),
        ("/file.txt", ""),
        ("/nowhere/1", ""),
        ("/api/nowhere", ""),
        ("/health/live", "/health/live"),
    ],
)
async def test_requests_are_named_by_the_whole_template_of_their_route(app: FastAPI, path: str, template: str) -> None:
    heard: list[RequestFinished] = []
    async with client(app) as calling:
        resources = installed(app).resources
        assert resources is not None
        resources[Events].listen(RequestFinished, heard.append)
        answer = await calling.get(path)
    assert [event.route for event in heard] == [template]
    assert heard[0].status == answer.status_code
    assert heard[0].request_id == answer.headers["x-request-id"]
    assert heard[0].seconds > 0
