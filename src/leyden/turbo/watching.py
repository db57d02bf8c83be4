"""Lists that tell when they have changed: to compare them at each request would take longer the more they hold."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
Heard = Callable[[], None]


def _told(change: Callable[..., T]) -> Callable[..., T]:
    """The list's own method, and whoever listens is told."""

    def method(self: "Watched", *arguments: Any, **named: Any) -> T:
        done = change(self, *arguments, **named)
        for heard in self._heard:
            heard()
        return done

    return method


class Watched(list[Any]):
    """A list in the place of a router's or a dependant's own."""

    __slots__ = ("_heard",)

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__(items)
        self._heard: tuple[Heard, ...] = ()

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, (list(self),)  # a copy is not watched

    def hear(self, heard: Heard) -> None:
        if heard not in self._heard:
            self._heard = (*self._heard, heard)

    append = _told(list.append)
    clear = _told(list.clear)
    extend = _told(list.extend)
    insert = _told(list.insert)
    pop = _told(list.pop)
    remove = _told(list.remove)
    reverse = _told(list.reverse)
    sort = _told(list.sort)
    __delitem__ = _told(list.__delitem__)
    __iadd__ = _told(list.__iadd__)
    __imul__ = _told(list.__imul__)
    __setitem__ = _told(list.__setitem__)


def watch(owner: Any, name: str, heard: Heard) -> Watched:
    """The list of this name, which is watched from now on."""
    items = getattr(owner, name)
    if type(items) is not Watched:
        items = Watched(items)
        setattr(owner, name, items)
    items.hear(heard)
    return items
