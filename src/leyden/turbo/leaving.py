"""FastAPI's stacks of what is left when a request ends, where hardly anybody enters anything."""

from contextlib import AsyncExitStack
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from leyden.turbo import internals
from leyden.turbo.internals import FUNCTION_STACK, INNER_STACK
from leyden.turbo.runtime import Raised


class Leaving:
    """The two stacks of one request, which others see in its scope: one is left before the response, one after it."""

    __slots__ = ("_function", "_inner", "_request", "outcome")

    def __init__(self, request: Request) -> None:
        self.outcome: Any = None
        """A response, or an error that came in its place, or `Raised` while a response was sent."""
        self._request = request
        self._inner = request.scope[INNER_STACK] = AsyncExitStack()
        self._function = request.scope[FUNCTION_STACK] = AsyncExitStack()

    @property
    def used(self) -> bool:
        return bool(self._inner._exit_callbacks or self._function._exit_callbacks)  # type: ignore[attr-defined]  # noqa: SLF001 -- there is no other way to ask

    async def close(self) -> None:
        """What was entered while the response was sent."""
        await self._inner.aclose()

    async def ending(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI does with the outcome of a handler; it leaves the stacks, and tells of errors they swallow."""
        await internals.request_response(self._hand_over)(scope, receive, send)

    async def _hand_over(self, request: Request) -> Any:
        vars(request).update(vars(self._request))
        outcome, scope = self.outcome, request.scope
        scope[INNER_STACK].push_async_exit(self._inner)
        if isinstance(outcome, Raised):
            return outcome.raise_again
        scope[FUNCTION_STACK].push_async_exit(self._function)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
