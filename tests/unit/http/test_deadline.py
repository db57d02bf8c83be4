import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import FastAPI
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, StreamingResponse

from leyden.testing import client

MakeApp = Callable[..., FastAPI]


async def test_what_runs_past_the_deadline_is_cancelled_and_answered(make_app: MakeApp) -> None:
    app = make_app(deadline=0.05)
    cancelled = False

    @app.get("/slow")
    async def slow() -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled = True
            raise

    async with client(app) as calling:
        answer = await calling.get("/slow", headers={"Accept-Language": "zh"})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert answer.json()["title"] == "超时"
    assert cancelled


async def test_what_comes_too_late_from_a_thread_is_dropped(make_app: MakeApp) -> None:
    app = make_app(deadline=0.05)
    app.get("/blocked")(lambda: time.sleep(0.2))
    async with client(app) as calling:
        assert (await calling.get("/blocked")).status_code == 504


async def test_streams_and_background_work_are_free_once_the_answer_has_begun(make_app: MakeApp) -> None:
    app = make_app(deadline=0.05)
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.1)
        done.set()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"part "
                await asyncio.sleep(0.04)

        return StreamingResponse(parts())

    @app.get("/background")
    async def background() -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(work))

    async with client(app) as calling:
        assert (await calling.get("/stream")).text == "part part part "
        assert (await calling.get("/background")).status_code == 200
    assert done.is_set()


async def test_a_timeout_of_the_endpoints_own_is_an_error_like_any_other(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/own")
    async def own() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)

    async with client(app) as calling:
        with pytest.raises(TimeoutError):
            await calling.get("/own")
