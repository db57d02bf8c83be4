"""Notes that an error has left the endpoints, before a middleware of the app's own can cover it up."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "leyden.escape"


@dataclass(slots=True)
class Escape:
    """Whether an error has left the endpoints in this request."""

    happened: bool = False


def escape_of(scope: Scope) -> Escape:
    """The note in this scope: one object for all who know the scope or a copy of it."""
    note: Escape = scope.setdefault(_KEY, Escape())
    return note


class Note:
    """Stands next to the endpoints, inside the app's own middleware; `Catch`, outside of it, reads the note."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception:
            escape_of(scope).happened = True
            raise
