"""A client that talks to the app inside this process, with the app's lifespan running."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from leyden.core.resources import installed


@asynccontextmanager
async def client(
    app: Starlette,
    *,
    overrides: Mapping[type, object] | None = None,
    base_url: str = "http://localhost",
    raise_app_exceptions: bool = True,
    **options: Any,
) -> AsyncIterator[AsyncClient]:
    """Start the app as a server would and yield a client of it; on leaving, the app is stopped.

    `overrides` replaces resources by type for this run. Other keywords are those of httpx2.AsyncClient.
    With `raise_app_exceptions=False` an unhandled exception is the 500 a real client would see.
    Answers are buffered whole: for endless streams use LiveServer.
    """
    with _replaced(app, overrides):
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
                await app({**scope, "state": dict(state or {})}, receive, send)

            transport = ASGITransport(with_state, raise_app_exceptions=raise_app_exceptions)
            async with AsyncClient(transport=transport, base_url=base_url, **options) as ready:
                yield ready


@contextmanager
def _replaced(app: Starlette, overrides: Mapping[type, object] | None) -> Iterator[None]:
    if overrides is None:  # an app without batteries may be tested too
        yield
        return
    known = installed(app)
    before = known.overrides
    known.overrides = {**before, **overrides}
    try:
        yield
    finally:
        known.overrides = before
