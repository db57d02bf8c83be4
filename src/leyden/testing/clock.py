"""Time that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

_SOME_DAY = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


class FrozenClock:
    """A Clock for `overrides={Clock: clock}`: both of its times stand still and move together."""

    def __init__(self, start: datetime = _SOME_DAY) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be aware: write datetime(..., tzinfo=UTC)")
        self._start = start.astimezone(UTC)
        self._passed = timedelta()

    def __repr__(self) -> str:
        return f"FrozenClock({self.now().isoformat()})"

    def now(self) -> datetime:
        return self._start + self._passed

    def monotonic(self) -> float:
        return self._passed.total_seconds()

    def advance(self, seconds: float | timedelta) -> datetime:
        """Let this much time pass, and return what time it is then. Time never goes back."""
        step = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        if step < timedelta():
            raise ValueError("time does not go back: advance by 0 or more")
        self._passed += step
        return self.now()
