"""A request that has not begun to answer in time is given up."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.http.errors import DeadlineExceededError
from leyden.http.interruption import Interruption
from leyden.http.problems import Problems


class Deadline:
    """The client is told at once, even if what runs cannot be cancelled at once; a thread keeps its place to its end."""

    def __init__(self, app: ASGIApp, *, seconds: float, problems: Problems) -> None:
        self.app = app
        self.seconds = seconds
        self.problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        refusing: asyncio.Task[None] | None = None
        running = Interruption()

        def give_up() -> None:
            nonlocal refusing
            response = self.problems.answer(scope, DeadlineExceededError())
            refusing = loop.create_task(response(scope, receive, send))
            running.interrupt()

        timer = loop.call_later(self.seconds, give_up)

        async def free(message: Message) -> None:
            timer.cancel()
            if refusing is None:
                await send(message)

        try:
            with running:
                await self.app(scope, receive, free)
        finally:
            timer.cancel()
            if refusing is not None:
                await refusing
