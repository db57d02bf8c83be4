"""The app the acceptance tests of the HTTP edge start, call and stop."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from leyden import Battery, Check, Finding, LeydenError, Resources, Settings, create_app, install
from leyden.core import Events, Stage, SupervisorDep, TaskFailed
from leyden.http import HttpSettings, RequestFinished, StoppingDep, battery, request_id, safe_next


class EdgeSettings(Settings):
    http: HttpSettings = HttpSettings()


class InsufficientFundsError(LeydenError):
    """There is not enough money for this."""

    status = 409
    code = "insufficient_funds"


settings = EdgeSettings()
LEDGER = Path(os.environ["EDGE_LEDGER"])
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


def write(line: str) -> None:
    with LEDGER.open("a", encoding="utf-8") as ledger:
        ledger.write(line + "\n")


def note_finished(event: RequestFinished) -> None:
    if event.route == "/tenants/{name}":
        write(f"finished {event.request_id} {tenant.get()}")


@asynccontextmanager
async def listening(resources: Resources) -> AsyncIterator[None]:
    events = resources[Events]
    forget = [
        events.listen(RequestFinished, note_finished),
        events.listen(TaskFailed, lambda event: write(f"failed {event.name}")),
    ]
    yield
    for stop in forget:
        stop()
    write("closed")


def sick(_resources: Resources) -> list[Finding]:
    broken = LEDGER.with_suffix(".sick").exists()
    return [Finding("ledger.E001", "The ledger at /srv/secret is broken.")] if broken else []


router = APIRouter()


@router.post("/echo")
async def echo(request: Request) -> int:
    return len(await request.body())


@router.post("/roomy", max_body_size=3_000_000)
async def roomy(request: Request) -> int:
    return len(await request.body())


class Registration(BaseModel):
    email: str = Field(min_length=6)
    password: str = Field(min_length=12)


@router.post("/register")
async def register(_registration: Registration) -> None:
    return None


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError("psycopg could not SELECT password FROM /usr/lib/users")


@router.get("/leak")
async def leak() -> None:
    raise HTTPException(500, detail="sqlalchemy: postgresql://user:password@db/usr/")


@router.get("/upstream")
async def upstream() -> None:
    raise HTTPException(502, detail="traceback of sqlalchemy")


@router.get("/transfer")
async def transfer(case: str) -> None:
    if case == "funds":
        raise InsufficientFundsError
    raise HTTPException({"unknown": 404, "foreign": 403}[case])


@router.get("/broken")
async def broken() -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"first row\n" * 1000
        raise ConnectionError("the database went away")

    return StreamingResponse(rows())


@router.get("/slow")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@router.get("/blocked")
def blocked(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


@router.get("/ticks", response_class=EventSourceResponse)
async def ticks() -> AsyncIterator[ServerSentEvent]:
    while True:
        yield ServerSentEvent(data={"tick": True})
        await asyncio.sleep(0.05)


@router.get("/polite")
async def polite(stopping: StoppingDep) -> StreamingResponse:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"line\n"
            await asyncio.sleep(3600)

    async def lines() -> AsyncIterator[bytes]:
        async for line in stopping.until(endless()):
            yield line
        yield b"goodbye\n"

    return StreamingResponse(lines())


@router.get("/flood")
async def flood() -> StreamingResponse:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    return StreamingResponse(endless())


@router.websocket("/flood")
async def flood_socket(connection: WebSocket) -> None:
    await connection.accept()
    while True:
        await connection.send_bytes(b"x" * 65536)


@router.websocket("/socket")
async def socket(connection: WebSocket) -> None:
    await connection.accept()
    async for text in connection.iter_text():
        await connection.send_text(f"{text} {request_id()}")


@router.get("/admin")
async def admin(authorization: Annotated[str | None, Header()] = None) -> str:
    if authorization != "Bearer right":
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return "secret"


@router.get("/public")
async def public() -> str:
    return "public"


@router.get("/go")
async def go(next: str = "/") -> RedirectResponse:  # noqa: A002 -- the usual name of it
    return RedirectResponse(safe_next(next))


@router.post("/tasks")
async def tasks(count: int, supervisor: SupervisorDep) -> None:
    async def work(number: int) -> None:
        await asyncio.sleep(0.2)
        write(f"task {number}")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("in the background")

    for number in range(count):
        supervisor.spawn(work(number))
    supervisor.spawn(fail(), name="failing")
    gc.collect()


async def be_tenant(x_tenant: Annotated[str, Header()]) -> str:
    tenant.set(x_tenant)
    return x_tenant


@router.get("/tenants/{name}")
async def tenants(name: str, who: Annotated[str, Depends(be_tenant)]) -> dict[str, str | None]:
    await asyncio.sleep(0.001)
    return {"name": name, "who": who, "request_id": request_id()}


class Limited(BaseHTTPMiddleware):
    """What the tutorials write: an HTTPException raised in a middleware."""

    calls = 0

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        if request.url.path == "/limited":
            Limited.calls += 1
            if Limited.calls > 5:
                raise HTTPException(429, headers={"Retry-After": "7"})
            return Response("fine")
        if request.url.path == "/raised-in-middleware":
            raise RuntimeError("password in the middleware")
        return await call_next(request)


class Passing(BaseHTTPMiddleware):
    """The least a middleware of this kind can do, which is already to end every stream in order."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


def make() -> FastAPI:
    ledger = Battery(
        name="ledger",
        requires=("http",),
        lifespan=listening,
        routers=(router,),
        checks=(Check(sick, (Stage.READY,)),),
    )
    batteries = [battery(settings.http, development=settings.development), ledger]
    made = installed_between(batteries) if "EDGE_INSTALLED" in os.environ else create_app(batteries, title="Edge")
    if "EDGE_LIMITED" in os.environ:
        made.add_middleware(Limited)
    if "EDGE_PASSING" in os.environ:
        made.add_middleware(Passing)
    if front := os.environ.get("EDGE_FRONT"):
        made.frontend("/", directory=front)
    return made


def installed_between(batteries: list[Battery]) -> FastAPI:
    """An existing app that has had a middleware before it got its batteries."""
    made = FastAPI(docs_url=None, redoc_url=None)
    if "EDGE_PASSING" in os.environ:
        made.add_middleware(Passing)
    install(made, batteries)
    return made


app = make()
