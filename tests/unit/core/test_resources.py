"""Resources start in order, are found by type and close in reverse, whatever happens."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from leyden import Battery, Check, Finding, Resources, running
from leyden.core import (
    BatteryOrderError,
    Clock,
    Events,
    ResourceMissingError,
    Stage,
    StartError,
    Supervisor,
    SystemClock,
)

Log = list[str]


class Lamp:
    pass


class Radio:
    pass


class BrokenError(Exception):
    pass


def battery(kind: type, log: Log, *, fails: str = "", needs: tuple[str, ...] = ()) -> Battery:
    name = kind.__name__.lower()

    @asynccontextmanager
    async def lifespan(_resources: Resources) -> AsyncIterator[object]:
        if fails == "start":
            raise BrokenError(name)
        log.append(f"{name} on")
        try:
            yield kind()
        finally:
            log.append(f"{name} off")
            if fails == "stop":
                raise BrokenError(name)

    return Battery(name=name, provides=kind, lifespan=lifespan, requires=needs)


def finding(which: str) -> Callable[[Resources], Iterator[Finding]]:
    def check(_resources: Resources) -> Iterator[Finding]:
        yield Finding(which, f"Something about {which}.", "Mend it.")

    return check


async def test_resources_start_in_order_and_close_in_reverse() -> None:
    log: Log = []
    async with running([battery(Lamp, log), battery(Radio, log)]) as resources:
        assert isinstance(resources[Lamp], Lamp)
        assert isinstance(resources[Radio], Radio)
        assert log == ["lamp on", "radio on"]
    assert log == ["lamp on", "radio on", "radio off", "lamp off"]


async def test_they_close_in_reverse_when_the_body_fails() -> None:
    log: Log = []
    with pytest.raises(BrokenError):
        async with running([battery(Lamp, log), battery(Radio, log)]):
            raise BrokenError
    assert log[2:] == ["radio off", "lamp off"]


async def test_what_had_started_closes_when_a_later_start_fails() -> None:
    log: Log = []
    with pytest.raises(BrokenError, match="radio"):
        async with running([battery(Lamp, log), battery(Radio, log, fails="start")]):
            pytest.fail("must not start")
    assert log == ["lamp on", "lamp off"]


async def test_the_others_close_when_one_fails_to_close() -> None:
    log: Log = []
    with pytest.raises(BrokenError, match="radio"):
        async with running([battery(Lamp, log), battery(Radio, log, fails="stop")]):
            pass
    assert log[2:] == ["radio off", "lamp off"]


async def test_they_close_when_the_caller_is_cancelled() -> None:
    log: Log = []
    with anyio.move_on_after(0.01):
        async with running([battery(Lamp, log)]):
            await anyio.sleep(10)
    assert log == ["lamp on", "lamp off"]


async def test_a_later_battery_uses_the_resource_of_an_earlier_one() -> None:
    seen: list[Lamp] = []

    @asynccontextmanager
    async def lifespan(resources: Resources) -> AsyncIterator[None]:
        seen.append(resources[Lamp])
        yield

    async with running([battery(Lamp, []), Battery(name="reader", requires=("lamp",), lifespan=lifespan)]) as resources:
        assert seen == [resources[Lamp]]


async def test_an_override_stands_in_and_the_battery_does_not_start() -> None:
    log: Log = []
    mine = Lamp()
    async with running([battery(Lamp, log), battery(Radio, log)], overrides={Lamp: mine}) as resources:
        assert resources[Lamp] is mine
    assert log == ["radio on", "radio off"]


async def test_clock_events_and_supervisor_are_always_there_and_replaceable() -> None:
    events = Events()
    async with running([], overrides={Events: events}) as resources:
        assert isinstance(resources[Clock], SystemClock)  # type: ignore[type-abstract]  # a protocol is a key
        assert isinstance(resources[Supervisor], Supervisor)
        assert resources[Events] is events
        assert resources.kinds() == (Clock, Events, Supervisor)


async def test_a_resource_nobody_provides_is_an_error_with_its_name() -> None:
    async with running([]) as resources:
        assert Lamp not in resources
        with pytest.raises(ResourceMissingError, match=r"No running battery provides Lamp\. Add the battery"):
            resources[Lamp]


async def test_the_list_is_checked_before_anything_starts() -> None:
    log: Log = []
    with pytest.raises(BatteryOrderError):
        async with running([battery(Lamp, log), battery(Radio, log, needs=("data",))]):
            pytest.fail("must not start")
    assert log == []


async def test_an_error_of_a_start_check_refuses_the_start_and_closes_everything() -> None:
    log: Log = []
    strict = Battery(name="strict", checks=(Check(finding("strict.E001")), Check(finding("strict.E002"))))
    with pytest.raises(StartError) as refused:
        async with running([battery(Lamp, log), strict]):
            pytest.fail("must not start")
    assert str(refused.value).splitlines() == [
        "strict.E001: Something about strict.E001. Mend it.",
        "strict.E002: Something about strict.E002. Mend it.",
    ]
    assert log == ["lamp on", "lamp off"]


async def test_what_a_check_refuses_keeps_the_batteries_behind_it_from_starting() -> None:
    log: Log = []
    seen: list[tuple[type, ...]] = []

    def look(resources: Resources) -> Iterator[Finding]:
        seen.append(resources.kinds())
        yield Finding("lamp.E001", "The lamp is broken.")

    lamp = replace(battery(Lamp, log), checks=(Check(look),))
    with pytest.raises(StartError, match=r"lamp\.E001"):
        async with running([lamp, battery(Radio, log)]):
            pytest.fail("must not start")
    assert log == ["lamp on", "lamp off"]
    assert Lamp in seen[0]


async def test_a_warning_of_a_start_check_is_logged_and_the_app_starts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with running([Battery(name="mild", checks=(Check(finding("mild.W001")),))]):
            pass
    assert caplog.messages == ["mild.W001: Something about mild.W001. Mend it."]


async def test_checks_of_other_stages_do_not_run_at_start() -> None:
    ready = Check(finding("late.E001"), stages=(Stage.READY, Stage.DEPLOY))
    async with running([Battery(name="late", checks=(ready,))]):
        pass


async def test_checks_can_be_left_out_for_commands_that_mend() -> None:
    async with running([Battery(name="strict", checks=(Check(finding("strict.E001")),))], check=False):
        pass


async def test_what_is_supervised_ends_before_the_resource_it_uses_closes() -> None:
    log: Log = []

    async def listen() -> None:
        await anyio.sleep(0.01)
        log.append("listened")

    async with running([battery(Radio, log)]) as resources:
        resources[Supervisor].spawn(listen())
    assert log == ["radio on", "listened", "radio off"]


async def test_the_repr_lists_kinds_and_no_values() -> None:
    async with running([], overrides={str: "hunter2"}) as resources:
        assert repr(resources) == "Resources(Clock, Events, Supervisor, str)"
