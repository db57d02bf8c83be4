"""Answers only to its own names, and never to a Host header that is no host."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from leyden.http.errors import HostRefusedError
from leyden.http.health import is_health
from leyden.http.problems import Problems

_WELL_FORMED = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def host_of(values: list[bytes]) -> str | None:
    """The name in the one Host header, lower case and without port; None where it is doubled or malformed."""
    if len(values) != 1:
        return None
    found = _WELL_FORMED.fullmatch(values[0].decode("latin-1"))
    return found[1].lower() if found else None


def is_ours(host: str, allowed: tuple[str, ...]) -> bool:
    return any(
        pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:])) for pattern in allowed
    )


class Hosts:
    """Probes call a process by its address, so the health pages answer to every well-formed host."""

    def __init__(self, app: ASGIApp, *, allowed: tuple[str, ...], problems: Problems) -> None:
        self.app = app
        self.allowed = allowed
        self.problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._accepts(scope):
            await self.app(scope, receive, send)
        else:
            await self.problems.answer(scope, HostRefusedError())(scope, receive, send)

    def _accepts(self, scope: Scope) -> bool:
        values = [value for name, value in scope["headers"] if name == b"host"]
        if not values and "*" in self.allowed:
            return True  # HTTP/1.0 has none
        host = host_of(values)
        return host is not None and (is_health(scope) or is_ours(host, self.allowed))
