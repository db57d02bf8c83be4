"""Where requests enter: above every layer of FastAPI's where it is sure what the layers do."""

from collections.abc import Callable
from typing import Any, TypeGuard

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.turbo import internals
from leyden.turbo.internals import ServerErrorMiddleware

ENDING = "leyden.turbo.ending"
"""In the scope of a request that goes through FastAPI's layers only to end there: with an error, say."""

FOUND = "leyden.turbo.found"
"""In the scope of one that goes through them and is compiled."""

Find = Callable[[Scope], Any]


class Entrance(ServerErrorMiddleware):
    """FastAPI's outermost layer, which tools know by its class, and past which a request goes that is compiled.

    None of the layers does anything for a route that succeeds. Nothing is left out where somebody puts one more below.
    """

    def __init__(self, outermost: ServerErrorMiddleware, find: Find) -> None:
        super().__init__(outermost.app, outermost.handler, outermost.debug)
        self._below = outermost.app
        self._find = find
        self._stock = super().__call__
        self._back = self._through

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if self.app is self._below else None
        if found is None:
            await self._stock(scope, receive, send)
        elif found.inside:
            scope[FOUND] = found
            await self._stock(scope, receive, send)
        else:
            await found.run(scope, receive, send, self._stock, self._back)

    async def _through(
        self, ending: ASGIApp, started: Message | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        scope[ENDING] = ending
        await self._stock(scope, receive, once_sent(send, started))


def is_bare(stack: Any, router: ASGIApp) -> TypeGuard[ServerErrorMiddleware]:
    """Whether there is nothing between FastAPI's outermost layer and the router but FastAPI's own layers."""
    for layer in internals.LAYERS:
        if type(stack) is not layer:
            return False
        stack = stack.app
    return stack is router


async def directly(ending: ASGIApp, started: Message | None, scope: Scope, receive: Receive, send: Send) -> None:
    """The layers are around already."""
    await ending(scope, receive, once_sent(send, started))


def once_sent(send: Send, started: Message | None) -> Send:
    """Leaves out what has been sent already."""
    if started is None:
        return send

    async def rest(message: Message) -> None:
        if message is not started:
            await send(message)

    return rest
