"""Measures the request, warns of a slow one, and tells who listens that it is finished."""

import logging
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.core.events import Events
from leyden.core.resources import Resources, installed
from leyden.http.events import RequestFinished
from leyden.http.request_ids import request_id_of
from leyden.http.route import route_template

_log = logging.getLogger("leyden.http")


class Measure:
    """Slow is what starts to answer late: a long stream is not slow."""

    def __init__(self, app: ASGIApp, *, slow: float) -> None:
        self.app = app
        self.slow = slow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        resources = installed(scope["app"]).resources  # asked now: a mounted application puts itself there
        begun = time.perf_counter()
        waited, status = None, 500

        async def note(message: Message) -> None:
            nonlocal waited, status
            if message["type"] == "http.response.start":
                waited, status = time.perf_counter() - begun, message["status"]
                message.setdefault("headers", [])
                MutableHeaders(scope=message)["Server-Timing"] = f"app;dur={waited * 1000:.1f}"
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            seconds = time.perf_counter() - begun
            if (seconds if waited is None else waited) > self.slow:
                self._warn(scope, seconds if waited is None else waited)
            _tell(resources, scope, status, seconds)

    def _warn(self, scope: Scope, seconds: float) -> None:
        where = route_template(scope) or scope["path"]
        _log.warning("%s %r was slow: %.3f s (request %s)", scope["method"], where, seconds, request_id_of(scope))


def _tell(resources: Resources | None, scope: Scope, status: int, seconds: float) -> None:
    if resources is not None and (events := resources[Events]).heard(RequestFinished):
        name = request_id_of(scope) or ""
        events.emit(RequestFinished(scope["method"], route_template(scope), status, seconds, name))
