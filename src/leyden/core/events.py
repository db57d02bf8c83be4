"""What happened, told to whoever listens; free of cost while nobody does."""

import logging
from collections.abc import Callable
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
        self._listeners[kind] = (*self._listeners.get(kind, ()), listener)
        return lambda: self._forget(kind, listener)

    def _forget(self, kind: type, listener: Callable[[Any], None]) -> None:
        left = list(self._listeners.get(kind, ()))
        if listener in left:
            left.remove(listener)  # one: the same function may listen twice
        if left:
            self._listeners[kind] = tuple(left)
        else:
            self._listeners.pop(kind, None)
