import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest
from anyio import to_thread
from fastapi import Depends, FastAPI
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


async def test_threads_stay_as_few_as_the_pool_has_places(make_app: MakeApp) -> None:
    app, lock = make_app(deadline=0.1), threading.Lock()
    now = peak = 0

    @app.get("/sync")
    def sync() -> None:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
        time.sleep(1)
        with lock:
            now -= 1

    limiter = to_thread.current_default_thread_limiter()
    async with client(app) as calling:
        before, limiter.total_tokens = limiter.total_tokens, 5
        try:
            running = []
            for _ in range(4):
                running += [asyncio.create_task(calling.get("/sync")) for _ in range(5)]
                await asyncio.sleep(0.2)
            answers = await asyncio.gather(*running)
        finally:
            limiter.total_tokens = before
    assert {answer.status_code for answer in answers} == {504}
    assert peak == 5
    assert limiter.borrowed_tokens == 0


async def test_what_cleans_up_after_the_deadline_may_wait_for_something(make_app: MakeApp) -> None:
    app, done = make_app(deadline=0.05), list[str]()

    async def opened() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.sleep(0.05)
            done.append("closed")

    @app.get("/slow", dependencies=[Depends(opened)])
    async def slow() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.05)
            done.append("tidied")

    @app.get("/thread", dependencies=[Depends(opened)])
    async def thread() -> None:
        try:
            await to_thread.run_sync(time.sleep, 0.2)
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.05)
            done.append("tidied")

    async with client(app) as calling:
        async with asyncio.timeout(5):
            for path in ("/slow", "/thread"):
                assert (await calling.get(path)).status_code == 504
    assert done == ["tidied", "closed"] * 2


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
