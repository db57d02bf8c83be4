"""A caller who has written carries that to every worker."""

from math import ceil

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.data.callers import COOKIE, has_written


class TellWrites:
    """Sets a cookie on the answer to a request that has committed something, which lives for `lag` seconds."""

    def __init__(self, app: ASGIApp, *, lag: float) -> None:
        self._app = app
        self._lag = ceil(lag) + 1  # clients count from the whole second that has begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and has_written(scope.get("state") or {}):
                MutableHeaders(scope=message).append("set-cookie", self._cookie(scope))
            await send(message)

        await self._app(scope, receive, tell)

    def _cookie(self, scope: Scope) -> str:
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        return f"{COOKIE}=1; Max-Age={self._lag}; Path=/; HttpOnly; SameSite=Lax{secure}"
