import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

from leyden.core.resources import installed
from leyden.http import Stopping
from leyden.testing import client


async def test_an_event_stream_that_never_looks_ends_whole_and_its_generator_is_closed(
    make_app: Callable[..., FastAPI],
) -> None:
    app, closed = make_app(), list[str]()

    @app.get("/ticks", response_class=EventSourceResponse)
    async def ticks() -> AsyncIterator[ServerSentEvent]:
        try:
            while True:
                yield ServerSentEvent(data=1)
                await asyncio.sleep(0.01)
        finally:
            closed.append("closed")

    async with client(app) as calling:
        resources = installed(app).resources
        assert resources is not None
        asyncio.get_running_loop().call_later(0.05, resources[Stopping].set)
        async with asyncio.timeout(5):
            answer = await calling.get("/ticks")
        assert "data: 1" in answer.text
        assert closed == ["closed"]
        assert (await calling.get("/health/live")).headers["connection"] == "close"
        gone = await calling.get("/health/ready")
    assert (gone.status_code, gone.json()["code"], gone.headers["retry-after"]) == (503, "not_ready", "1")
