import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from leyden.http import Stopping


async def numbers(closed: list[str]) -> AsyncIterator[int]:
    try:
        for number in range(3):
            yield number
        await asyncio.sleep(3600)
    finally:
        closed.append("closed")


async def test_waiting_ends_when_it_is_set_from_another_thread() -> None:
    stopping = Stopping()
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.sleep(0.01)
    assert not stopping.is_set()
    threading.Thread(target=stopping.set).start()
    async with asyncio.timeout(2):
        await waiting
    assert stopping.is_set()


async def test_until_gives_what_there_is_and_then_closes_the_source() -> None:
    stopping, closed = Stopping(), list[str]()
    asyncio.get_running_loop().call_later(0.05, stopping.set)
    async with asyncio.timeout(2):
        assert [number async for number in stopping.until(numbers(closed))] == [0, 1, 2]
    assert closed == ["closed"]


async def test_until_ends_with_its_source() -> None:
    async def short() -> AsyncIterator[int]:
        yield 1

    assert [number async for number in Stopping().until(short())] == [1]


async def test_until_gives_nothing_once_it_is_set() -> None:
    stopping, closed = Stopping(), list[str]()
    stopping.set()
    stopping.set()
    assert [number async for number in stopping.until(numbers(closed))] == []


async def test_a_timeout_of_the_source_itself_is_not_taken_for_the_end() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        _ = [number async for number in Stopping().until(failing())]


async def test_cancelling_the_consumer_closes_the_source() -> None:
    stopping, closed = Stopping(), list[str]()

    async def consume() -> None:
        async for _ in stopping.until(numbers(closed)):
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == ["closed"]


def test_it_may_be_made_and_set_without_a_loop() -> None:
    stopping = Stopping()
    stopping.set()
    assert stopping.is_set()
