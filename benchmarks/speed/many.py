"""An app of many routes, in process: what a request for the last one costs, and what it costs to compile them all.

python -m speed.many cost 1000         microseconds a request by app
python -m speed.many compile 1000 1    bytes grown, and seconds that the first round of requests took over the second
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel

from leyden.turbo import accelerate

BATCHES = 15
BATCH = 0.02
"""Seconds, about."""
PAGE = 4096

Scope = dict[str, Any]


class Thing(BaseModel):
    thing_id: int
    name: str = "thing"
    limit: int = 20


async def limited(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> int:
    return limit


def app_of(routes: int) -> FastAPI:
    """Reads with a dependency and writes with a body, in turn."""
    app = FastAPI()
    for number in range(routes):
        if number % 2:
            app.post(f"/things{number}")(_write())
        else:
            app.get(f"/things{number}/{{thing_id}}")(_read())
    return app


def _read() -> Callable[..., Awaitable[Thing]]:
    async def read(thing_id: int, limit: Annotated[int, Depends(limited)]) -> Thing:
        return Thing(thing_id=thing_id, limit=limit)

    return read


def _write() -> Callable[..., Awaitable[Thing]]:
    async def write(thing: Thing) -> Thing:
        return thing

    return write


def asked(number: int) -> tuple[Scope, bytes]:
    """A request for the route with this number."""
    write = bool(number % 2)
    path = f"/things{number}" if write else f"/things{number}/7"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST" if write else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"" if write else b"limit=10",
        "headers": [(b"host", b"127.0.0.1"), *([(b"content-type", b"application/json")] if write else ())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    return scope, b'{"thing_id":7}' if write else b""


async def ask(app: FastAPI, scope: Scope, body: bytes) -> None:
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await app({**scope, "headers": list(scope["headers"])}, receive, send)
    if status != 200:
        sys.exit(f"{scope['path']} answered {status}")


async def costs(routes: int) -> dict[str, float]:
    """Both apps in turn, so that a busy moment of the machine meets both."""
    apps = {"fastapi": app_of(routes), "accelerated": accelerate(app_of(routes))}
    last = asked((routes - 1) // 2 * 2)
    times: dict[str, list[float]] = {name: [] for name in apps}
    count = {name: max(1, int(BATCH / await batch(app, last, 20))) for name, app in apps.items()}
    for _ in range(BATCHES):
        for name, app in apps.items():
            times[name].append(await batch(app, last, count[name]))
    return {name: median(found) * 1e6 for name, found in times.items()}


async def batch(app: FastAPI, request: tuple[Scope, bytes], count: int) -> float:
    """Seconds a request."""
    before = time.perf_counter()
    for _ in range(count):
        await ask(app, *request)
    return (time.perf_counter() - before) / count


async def compiling(routes: int, *, turbo: bool) -> dict[str, float]:
    app, requests = app_of(routes), [asked(number) for number in range(routes)]
    await ask(accelerate(app_of(2)), *asked(0))  # what is made once is made
    gc.collect()
    memory, began = resident(), time.perf_counter()
    if turbo:
        accelerate(app)
    rounds = [began, *[moment async for moment in after_rounds(app, requests)]]
    first, second = rounds[1] - rounds[0], rounds[2] - rounds[1]
    gc.collect()
    return {"grown": resident() - memory, "seconds": first - second}


async def after_rounds(app: FastAPI, requests: list[tuple[Scope, bytes]]) -> Any:
    for _ in range(2):
        for request in requests:
            await ask(app, *request)
        yield time.perf_counter()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


if __name__ == "__main__":
    what, routes, *turbo = sys.argv[1:]
    found = costs(int(routes)) if what == "cost" else compiling(int(routes), turbo=bool(int(turbo[0])))
    print(json.dumps(asyncio.run(found)))
