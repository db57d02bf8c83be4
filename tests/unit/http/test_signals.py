import asyncio
import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from leyden.http import Stopping
from leyden.http.signals import chained


class Server:
    """Stands where uvicorn's does: behind its bound method `handle_exit`."""

    class Config:
        timeout_graceful_shutdown: int | None = None

    def __init__(self) -> None:
        self.config = self.Config()
        self.heard: list[int] = []

    def handle_exit(self, number: int, _frame: FrameType | None) -> None:
        self.heard.append(number)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    before = {number: signal.signal(number, made.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_the_server_is_told_after_the_drain_delay(server: Server) -> None:
    stopping = Stopping()
    with chained(stopping, drain_delay=0.1, grace=3.5):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert stopping.is_set()
        assert server.heard == []
        await asyncio.sleep(0.2)
        assert server.heard == [signal.SIGTERM]


async def test_a_second_signal_is_passed_on_at_once_and_only_once(server: Server) -> None:
    with chained(Stopping(), drain_delay=0.1, grace=1):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert server.heard == [signal.SIGTERM]
        await asyncio.sleep(0.2)
        assert server.heard == [signal.SIGTERM]


@pytest.mark.parametrize(("number", "delay"), [(signal.SIGINT, 60.0), (signal.SIGTERM, 0.0)])
async def test_an_interrupt_or_no_delay_is_passed_on_at_once(server: Server, number: int, delay: float) -> None:
    stopping = Stopping()
    with chained(stopping, drain_delay=delay, grace=1):
        os.kill(os.getpid(), number)
        await asyncio.sleep(0)
        assert server.heard == [number]
        assert stopping.is_set()


async def test_the_handlers_are_given_back_at_the_end(server: Server) -> None:
    with chained(Stopping(), drain_delay=0.05, grace=1):
        assert signal.getsignal(signal.SIGTERM) != server.handle_exit
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit
    await asyncio.sleep(0.1)
    assert server.heard == []  # it has stopped by other means


async def test_a_server_that_would_wait_for_ever_is_told_how_long(server: Server) -> None:
    with chained(Stopping(), drain_delay=0, grace=3.5):
        assert server.config.timeout_graceful_shutdown == 4
    server.config.timeout_graceful_shutdown = 9
    with chained(Stopping(), drain_delay=0, grace=3.5):
        assert server.config.timeout_graceful_shutdown == 9


async def test_a_signal_nobody_handles_kills_as_ever() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with chained(Stopping(), drain_delay=5, grace=1):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_outside_the_main_thread_nothing_is_touched(server: Server) -> None:
    def elsewhere() -> None:
        async def run() -> None:
            with chained(Stopping(), drain_delay=5, grace=1):
                assert signal.getsignal(signal.SIGTERM) == server.handle_exit

        asyncio.run(run())

    await asyncio.to_thread(elsewhere)
