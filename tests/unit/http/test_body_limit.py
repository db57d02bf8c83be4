from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request

from leyden.testing import client

MakeApp = Callable[..., FastAPI]


def fill(app: FastAPI) -> FastAPI:
    router, roomy = APIRouter(), APIRouter(max_body_size=300)

    async def read(request: Request) -> int:
        return len(await request.body())

    async def ignore() -> str:
        return "did not look"

    router.post("/read")(read)
    router.post("/ignore")(ignore)
    router.post("/tight", max_body_size=10)(read)
    roomy.post("/roomy")(read)
    roomy.post("/roomiest", max_body_size=400)(read)
    app.include_router(router)
    app.include_router(roomy)
    app.post("/top", max_body_size=200)(read)
    return app


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 10):
        yield b"\0" * 10
    yield b"\0" * (size % 10)


LIMITS = [("/read", 100), ("/tight", 10), ("/roomy", 300), ("/roomiest", 400), ("/top", 200)]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize(("path", "limit"), LIMITS)
async def test_each_route_keeps_its_own_limit(make_app: MakeApp, path: str, limit: int, declared: bool) -> None:  # noqa: FBT001
    async with client(fill(make_app(max_body_size=100))) as calling:
        for size, status in ((limit, 200), (limit + 1, 413)):
            answer = await calling.post(path, content=b"\0" * size if declared else chunks(size))
            assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "content_too_large"


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_a_limit_of_the_app_itself_counts_in_place_of_ours(make_app: MakeApp, declared: bool) -> None:  # noqa: FBT001
    app = fill(make_app(max_body_size=100, fastapi={"max_body_size": 150}))
    async with client(app) as calling:
        for path, limit in [("/read", 150), *LIMITS[1:]]:
            for size, status in ((limit, 200), (limit + 1, 413)):
                answer = await calling.post(path, content=b"\0" * size if declared else chunks(size))
                assert (path, answer.status_code) == (path, status)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("own", [{}, {"max_body_size": 100}], ids=["ours", "the app's"])
async def test_a_declared_size_that_is_too_large_is_refused_before_anything_is_done(
    make_app: MakeApp, own: dict[str, int]
) -> None:
    app, router, done = make_app(max_body_size=100, fastapi=own), APIRouter(prefix="/things"), list[str]()

    async def act(name: str) -> None:
        done.append(name)

    app.post("/direct/{name}")(act)
    router.post("/{name}")(act)
    router.put("/{name}", max_body_size=200)(act)
    app.include_router(router)
    async with client(app) as calling:
        for path in ("/direct/x", "/things/x"):
            answer = await calling.post(path, content=b"\0" * 101)
            assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
        missing = await calling.post("/nowhere", content=b"\0" * 101)
        wrong = await calling.delete("/things/x", headers={"Content-Length": "101"})
        assert (await calling.put("/things/x", content=b"\0" * 201)).status_code == 413
        assert done == []
        assert (await calling.put("/things/x", content=b"\0" * 200)).status_code == 200
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert done == ["x"]


async def test_what_was_done_without_a_look_at_the_body_is_not_called_refused(make_app: MakeApp) -> None:
    app, inner, done = make_app(max_body_size=100), FastAPI(), list[str]()

    @inner.post("/act")
    async def act() -> None:
        done.append("act")

    @inner.post("/read")
    async def read(request: Request) -> None:
        await request.body()
        done.append("read")

    app.mount("/mounted", inner)
    async with client(app) as calling:
        answers = [await calling.post(f"/mounted/{path}", content=b"\0" * 101) for path in ("act", "read")]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert done == ["act"]
