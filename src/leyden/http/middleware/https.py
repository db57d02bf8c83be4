"""Sends whoever comes over plain HTTP to HTTPS, except probes."""

from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.types import Receive, Scope, Send

from leyden.http.health import is_health


class Https(HTTPSRedirectMiddleware):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_health(scope):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
