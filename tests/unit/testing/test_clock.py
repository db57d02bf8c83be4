"""A frozen clock moves only when it is told to."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from leyden.core import Clock
from leyden.testing import FrozenClock


def test_time_stands_still_until_it_is_advanced() -> None:
    clock = FrozenClock(datetime(2026, 11, 22, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 11, 22, tzinfo=UTC)
    before = clock.monotonic()
    clock.advance(90)
    assert clock.now() == datetime(2026, 11, 22, 0, 1, 30, tzinfo=UTC)
    assert clock.monotonic() - before == 90


def test_a_timedelta_says_what_seconds_say() -> None:
    clock = FrozenClock()
    assert clock.advance(timedelta(hours=1)) == FrozenClock().advance(3600)


def test_now_is_in_utc_whatever_the_start_was_in() -> None:
    start = datetime(2026, 11, 22, 8, tzinfo=timezone(timedelta(hours=8)))
    assert FrozenClock(start).now().isoformat() == "2026-11-22T00:00:00+00:00"


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        FrozenClock(datetime(2026, 11, 22))  # noqa: DTZ001 -- the mistake under test


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        FrozenClock().advance(-1)


def test_it_stands_in_for_the_clock_of_an_app() -> None:
    clock: Clock = FrozenClock()
    assert "FrozenClock(2030-01-02T03:04:05+00:00)" in repr(clock)
