"""Fan-out, threads and processes with bounds."""

import asyncio
import gc
import os
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden import gather_limited, to_process, to_thread
from leyden.core import Limit, Outcome, OverloadedError

MANY = 64


async def after(seconds: float, value: int = 0) -> int:
    await asyncio.sleep(seconds)
    return value


async def fail(message: str) -> int:
    await asyncio.sleep(0)
    raise ZeroDivisionError(message)


def values(outcomes: list[Outcome[int]]) -> list[int | str]:
    return [outcome.result() if outcome.ok else type(outcome.error).__name__ for outcome in outcomes]


async def test_outcomes_come_in_the_order_of_the_items() -> None:
    outcomes = await gather_limited([after(0.02, 1), after(0, 2), after(0.01, 3)], limit=3)
    assert values(outcomes) == [1, 2, 3]


async def test_nothing_to_do_is_no_outcome() -> None:
    assert await gather_limited([], limit=1) == []


async def test_an_item_that_fails_does_not_touch_the_others() -> None:
    outcomes = await gather_limited([after(0, 1), fail("no"), after(0.01, 3)], limit=1)
    assert values(outcomes) == [1, "ZeroDivisionError", 3]
    with pytest.raises(ZeroDivisionError, match="no"):
        outcomes[1].result()


async def test_a_value_of_none_is_a_result() -> None:
    (outcome,) = await gather_limited([asyncio.sleep(0)], limit=1)
    assert outcome.ok
    assert outcome.result() is None


@given(
    kinds=st.lists(st.sampled_from(["value", "error", "late"]), max_size=12),
    limit=st.integers(1, 5),
)
def test_every_item_has_its_own_outcome_and_the_limit_holds(kinds: list[str], limit: int) -> None:
    now = most = 0

    async def item(place: int, kind: str) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            await asyncio.sleep(0)
            if kind == "error":
                raise ZeroDivisionError(place)
            if kind == "late":
                await asyncio.sleep(0)
            return place
        finally:
            now -= 1

    coros = (item(place, kind) for place, kind in enumerate(kinds))
    outcomes = asyncio.run(gather_limited(coros, limit=limit))
    assert values(outcomes) == ["ZeroDivisionError" if kind == "error" else n for n, kind in enumerate(kinds)]
    assert most <= limit
    assert most == min(limit, len(kinds))
    assert now == 0


async def test_after_the_timeout_what_is_finished_stays_and_the_rest_is_late() -> None:
    started = time.monotonic()
    outcomes = await gather_limited([after(0, 1), after(60, 2), after(0, 3), after(60, 4)], limit=2, timeout=0.05)
    assert values(outcomes) == [1, "TimeoutError", 3, "TimeoutError"]
    assert time.monotonic() - started < 5


async def test_items_that_never_started_are_late_too_and_warn_nobody() -> None:
    outcomes = await gather_limited([after(60), after(0), after(0)], limit=1, timeout=0.01)
    assert values(outcomes) == ["TimeoutError"] * 3
    gc.collect()


async def test_a_timeout_of_zero_starts_nothing() -> None:
    assert values(await gather_limited([after(0), after(0)], limit=2, timeout=0)) == ["TimeoutError"] * 2


async def test_an_item_that_swallows_its_cancellation_keeps_its_value_and_starts_no_other() -> None:
    started: list[int] = []

    async def stubborn() -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return 7
        return 0

    async def next_one() -> int:
        started.append(1)
        return 8

    outcomes = await gather_limited([stubborn(), next_one()], limit=1, timeout=0.01)
    assert values(outcomes) == [7, "TimeoutError"]
    assert started == []


async def test_an_item_whose_own_work_was_cancelled_stops_no_other() -> None:
    async def cancelled() -> int:
        raise asyncio.CancelledError

    outcomes = await gather_limited([cancelled(), after(0, 2), after(0, 3)], limit=1)
    assert values(outcomes) == ["CancelledError", 2, 3]
    with pytest.raises(Exception, match="was cancelled"):  # an Exception: it must not look like our own cancellation
        outcomes[0].result()


async def test_a_timeout_of_an_items_own_is_its_outcome() -> None:
    async def slow() -> int:
        async with asyncio.timeout(0.01):
            return await after(60)

    assert values(await gather_limited([slow(), after(0.05, 2)], limit=2, timeout=60)) == ["TimeoutError", 2]


async def test_cancelling_the_caller_cancels_the_items_and_waits_for_them() -> None:
    log: list[str] = []

    async def item(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            log.append(name)

    caller = asyncio.create_task(gather_limited([item("a"), item("b"), item("never started")], limit=2))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert sorted(log) == ["a", "b"]
    gc.collect()


async def test_a_limit_below_one_is_refused_and_warns_nobody() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await gather_limited([after(0)], limit=0)
    gc.collect()


def block(seconds: float) -> str:
    time.sleep(seconds)
    return threading.current_thread().name


async def test_a_thread_does_the_blocking_call_while_the_loop_goes_on() -> None:
    before = time.monotonic()
    name, _ = await asyncio.gather(to_thread(Limit(1), block, 0.5), asyncio.sleep(0.5))
    assert name != threading.current_thread().name
    assert time.monotonic() - before < 0.95


async def test_keywords_reach_the_function() -> None:
    assert await to_thread(Limit(1), int, "ff", base=16) == 255


async def test_at_most_so_many_run_at_once() -> None:
    now = most = 0
    lock = threading.Lock()

    def count() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1

    limit = Limit(3, waiting=MANY)
    await asyncio.gather(*(to_thread(limit, count) for _ in range(MANY)))
    assert most == 3


async def test_one_more_than_run_and_wait_is_refused_even_if_all_come_at_once() -> None:
    limit = Limit(2, waiting=3)
    calls = (to_thread(limit, time.sleep, 0.01) for _ in range(MANY))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, OverloadedError)]
    assert len(refused) == MANY - 5
    assert refused[0].headers == {"Retry-After": "1"}
    await to_thread(limit, time.sleep, 0)  # there is room again


async def test_a_call_that_fails_gives_its_place_back() -> None:
    limit = Limit(1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await to_thread(limit, lambda: 1 // 0)
    assert await to_thread(limit, lambda: 1) == 1


async def test_a_thread_that_nobody_waits_for_any_more_keeps_its_place_until_it_ends() -> None:
    limit, begun, go_on = Limit(1, waiting=0), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await to_thread(limit, work)
    assert begun.is_set()
    with pytest.raises(OverloadedError):
        await to_thread(limit, lambda: 1)
    go_on.set()
    async with asyncio.timeout(5):
        while await _refused(limit):  # noqa: ASYNC110 -- the thread tells no event that it has ended
            await asyncio.sleep(0.01)


async def test_a_call_cancelled_while_it_waits_is_never_made() -> None:
    limit, go_on, calls = Limit(1, waiting=1), threading.Event(), list[int]()
    first = asyncio.create_task(to_thread(limit, go_on.wait, 10))
    await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await to_thread(limit, calls.append, 1)
    go_on.set()
    await first
    await to_thread(limit, calls.append, 2)
    assert calls == [2]


async def _refused(limit: Limit) -> bool:
    try:
        await to_thread(limit, int)
    except OverloadedError:
        return True
    return False


def test_one_limit_serves_event_loops_one_after_another() -> None:
    limit = Limit(1, waiting=0)
    for _ in range(2):
        assert asyncio.run(to_thread(limit, lambda: 1)) == 1


async def test_nice_threads_stand_behind_the_event_loop_and_leave_it_where_it_is() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = priority()
    behind = min(before + 5, 19) if sys.platform == "linux" else before  # elsewhere only a whole process has one
    assert await to_thread(Limit(1, nice=5), priority) == behind
    assert await to_thread(Limit(1), priority) == before
    assert priority() == before


@pytest.mark.parametrize(("concurrent", "waiting"), [(0, 1), (1, -1)])
def test_a_limit_that_lets_nobody_in_is_refused(concurrent: int, waiting: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        Limit(concurrent, waiting=waiting)


async def test_a_process_does_the_heavy_work() -> None:
    assert await to_process(Limit(1), os.getpid) != os.getpid()


async def test_processes_are_bounded_too() -> None:
    limit = Limit(1, waiting=0)
    outcomes = await asyncio.gather(*(to_process(limit, time.sleep, 0.01) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(OverloadedError) == 2


async def test_cancelling_kills_the_process() -> None:
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await to_process(Limit(1), time.sleep, 60)
    assert time.monotonic() - before < 10
