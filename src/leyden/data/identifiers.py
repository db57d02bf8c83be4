"""Identifiers that sort by the time they were made."""

import secrets
import sys
import time
import uuid
from collections.abc import Callable
from threading import Lock

_COUNTER_BITS = 42
_TAIL_BITS = 32


class _Sequence:
    """RFC 9562, version 7, method 1: milliseconds, a 42-bit counter that only rises, 32 random bits."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0
        self._counter = 0

    def next(self) -> uuid.UUID:
        with self._lock:
            milliseconds, counter = self._advance(time.time_ns() // 1_000_000)
        high, low = counter >> 30, counter & (1 << 30) - 1
        value = milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << _TAIL_BITS
        return uuid.UUID(int=value | secrets.randbits(_TAIL_BITS))

    def _advance(self, now: int) -> tuple[int, int]:
        if now > self._last:
            # The top bit starts clear, so that the counter has room to rise within this millisecond.
            self._last, self._counter = now, secrets.randbits(_COUNTER_BITS - 1)
        else:  # the same millisecond, or a clock that was set back
            self._counter += 1
            if self._counter >> _COUNTER_BITS:
                self._last, self._counter = self._last + 1, 0
        return self._last, self._counter


if sys.version_info >= (3, 14):
    uuid7: Callable[[], uuid.UUID] = uuid.uuid7
else:
    uuid7 = _Sequence().next
"""A new identifier; within one process each is greater than the one before."""
