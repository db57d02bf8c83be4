"""What happened, told to whoever listens; free of cost while nobody does."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

E = TypeVar("E")
_log = logging.getLogger("leyden.events")


class Events:
    """One hub an app: a listener hears the events of one class, in the order they were emitted."""

    def __init__(self) -> None:
        self._listeners: dict[type, tuple[Callable[[Any], None], ...]] = {}

    def heard(self, kind: type) -> bool:
        """Whether it is worth building an event of this class."""
        return kind in self._listeners

    def emit(self, event: object) -> None:
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 -- a listener must never break what it listens to
                _log.exception("a listener failed on %r", event)

    def listen(self, kind: type[E], listener: Callable[[E], None]) -> Callable[[], None]:
        """Call `listener` on every event of this class; the function returned stops it."""
        entry = partial(listener)  # its own object: the same function may listen twice
        self._listeners[kind] = (*self._listeners.get(kind, ()), entry)
        return lambda: self._forget(kind, entry)

    def _forget(self, kind: type, listener: Callable[[Any], None]) -> None:
        if left := tuple(known for known in self._listeners.get(kind, ()) if known is not listener):
            self._listeners[kind] = left
        else:
            self._listeners.pop(kind, None)
