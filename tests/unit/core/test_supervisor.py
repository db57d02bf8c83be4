"""Background coroutines have an owner: kept alive, never silent, finished at stop."""

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from leyden.core import Events, OverloadedError, Supervisor, TaskFailed, supervisor


async def fail() -> None:
    raise ZeroDivisionError("boom")


async def test_ten_thousand_coroutines_survive_the_garbage_collector() -> None:
    owner, done = Supervisor(Events()), list[int]()

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    for number in range(10_000):
        owner.spawn(work(number))
    gc.collect()
    await owner.drain(10)
    assert sorted(done) == list(range(10_000))
    assert len(owner) == 0


async def test_a_failure_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    events, told = Events(), list[TaskFailed]()
    events.listen(TaskFailed, told.append)
    with caplog.at_level(logging.ERROR):
        owner = Supervisor(events)
        owner.spawn(fail(), name="lottery")
        await owner.drain(1)
    (failure,) = told
    assert failure.name == "lottery"
    assert isinstance(failure.error, ZeroDivisionError)
    assert "lottery" in caplog.text
    assert "ZeroDivisionError: boom" in caplog.text


async def test_one_more_than_the_limit_is_refused_without_a_warning() -> None:
    owner = Supervisor(Events(), limit=1)
    owner.spawn(asyncio.sleep(0))
    with pytest.raises(OverloadedError):
        owner.spawn(asyncio.sleep(0))
    await owner.drain(1)
    owner.spawn(asyncio.sleep(0))
    await owner.drain(1)


async def test_the_coroutines_name_is_the_tasks_unless_given() -> None:
    owner = Supervisor(Events())
    assert "test_the_coroutines_name" in owner.spawn(_named()()).get_name()
    assert owner.spawn(_named()(), name="mine").get_name() == "mine"
    await owner.drain(1)


def _named() -> Callable[[], Any]:
    async def test_the_coroutines_name() -> None:
        pass

    return test_the_coroutines_name


async def test_draining_waits_for_what_ends_in_time_and_cancels_the_rest() -> None:
    owner, log = Supervisor(Events()), list[str]()

    async def short() -> None:
        await asyncio.sleep(0.01)
        log.append("done")

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    owner.spawn(short())
    owner.spawn(long())
    await owner.drain(0.1)
    assert log == ["done", "cleaned up"]


async def test_what_a_cancelled_coroutine_spawns_is_ended_too() -> None:
    owner = Supervisor(Events())

    async def hydra() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            owner.spawn(asyncio.sleep(60))

    owner.spawn(hydra())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await owner.drain(0)
    assert len(owner) == 0


async def test_draining_an_idle_supervisor_ends_at_once() -> None:
    async with asyncio.timeout(1):
        await Supervisor(Events()).drain(60)


async def test_what_will_not_be_cancelled_does_not_keep_the_app_from_stopping(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "UNWIND", 0.05)
    owner, end = Supervisor(Events()), asyncio.Event()

    async def stubborn() -> None:
        while not end.is_set():
            with suppress(asyncio.CancelledError):
                await end.wait()

    task = owner.spawn(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await owner.drain(0)
    assert "stubborn" in caplog.text
    end.set()
    await task
