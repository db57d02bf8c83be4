from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

import leyden.http
from leyden.http import Problem
from leyden.testing import client

MakeApp = Callable[..., FastAPI]
PAGES = ("/docs", "/openapi.json", "/docs/oauth2-redirect", "/docs/static/swagger-ui/swagger-ui-bundle.js")


class Thing(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("docs", "development", "shown"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
async def test_the_pages_are_there_in_development_or_when_asked_for(
    make_app: MakeApp,
    docs: bool | None,  # noqa: FBT001
    development: bool,  # noqa: FBT001
    shown: bool,  # noqa: FBT001
) -> None:
    async with client(make_app(docs=docs, development=development)) as calling:
        assert {(await calling.get(path)).status_code for path in PAGES} == {200 if shown else 404}


async def test_no_page_loads_anything_from_elsewhere_or_runs_inline_script(make_app: MakeApp) -> None:
    async with client(make_app(docs=True, fastapi={"title": "<b>Shop</b>"})) as calling:
        page = await calling.get("/docs")
        returned = await calling.get("/docs/oauth2-redirect")
    assert "http" not in page.text.replace("http-equiv", "")
    assert "&lt;b&gt;Shop" in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "script-src 'sha256-" in returned.headers["content-security-policy"]


async def test_the_pages_know_the_prefix_of_a_proxy(make_app: MakeApp) -> None:
    app = make_app(docs=True, docs_path="/manual", openapi_path="/api.json")
    async with client(app) as calling:
        transport = calling._transport
        transport.root_path = "/behind"  # type: ignore[attr-defined] # ASGITransport has it
        page = (await calling.get("/behind/manual")).text
        document = (await calling.get("/behind/api.json")).json()
    assert 'src="/behind/manual/static/docs.js"' in page
    assert 'data-openapi="/behind/api.json"' in page
    assert document["servers"] == [{"url": "/behind"}]


async def test_the_document_shows_problems_where_errors_are(make_app: MakeApp) -> None:
    app = make_app(docs=True)

    @app.post(
        "/things", responses={409: {"model": Problem}, 418: {"description": "Tea", "content": {"text/plain": {}}}}
    )
    async def make(thing: Thing) -> Thing:
        return thing

    async with client(app) as calling:
        document = (await calling.get("/openapi.json")).json()
    responses = document["paths"]["/things"]["post"]["responses"]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert [responses[status]["content"] for status in ("409", "422", "default")] == [problem] * 3
    assert responses["418"]["content"] == {"text/plain": {}}
    assert responses["200"]["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
    assert {"Problem", "ProblemField", "Thing"} == set(document["components"]["schemas"])
    assert set(document["paths"]) == {"/things"}
    assert "HTTPValidationError" in str(app.openapi())  # FastAPI's own copy is left alone


def test_the_licences_of_what_is_shipped_are_shipped() -> None:
    shipped = {file.name for file in (Path(leyden.http.__file__).parent / "static" / "swagger-ui").iterdir()}
    assert shipped == {
        "LICENSE",
        "LICENSE-bundle.txt",
        "NOTICE",
        "favicon.png",
        "swagger-ui-bundle.js",
        "swagger-ui.css",
    }
