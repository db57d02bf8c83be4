"""Which route serves a path, in time that does not grow with their number, and always the one that FastAPI would choose."""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from leyden.turbo.routes import Candidate, segments_of

T = TypeVar("T")


class Choice(NamedTuple, Generic[T]):
    """One that may be chosen; `target` is None where FastAPI serves."""

    candidate: Candidate
    target: T | None


class Hit(NamedTuple, Generic[T]):
    """The choice, and the values of the path's parameters."""

    candidate: Candidate
    target: T
    values: Mapping[str, Any]


class Branch(Generic[T]):
    """What follows one segment of a path."""

    __slots__ = ("any", "ends", "longer", "named")

    def __init__(self) -> None:
        self.named: dict[str, Branch[T]] = {}
        self.any: Branch[T] | None = None
        self.ends: list[Choice[T]] = []
        self.longer: list[Choice[T]] = []
        """Those that may match whatever follows."""

    def add(self, choice: Choice[T]) -> None:
        branch = self
        for segment in segments_of(choice.candidate):
            if segment == "...":
                branch.longer.append(choice)
                return
            branch = branch._next(segment)
        branch.ends.append(choice)

    def _next(self, segment: str | None) -> "Branch[T]":
        if segment is None:
            self.any = self.any or Branch()
            return self.any
        return self.named.setdefault(segment, Branch())

    def collect(self, segments: list[str], place: int, found: list[Choice[T]]) -> None:
        """All whose segments fit from this place on; whether they match their patterns tell."""
        found += self.longer
        if place == len(segments):
            found += self.ends
            return
        if (named := self.named.get(segments[place])) is not None:
            named.collect(segments, place + 1, found)
        if self.any is not None:
            self.any.collect(segments, place + 1, found)


class Matcher(Generic[T]):
    """Made once for all routes; a path without parameters has its answer ready."""

    def __init__(self, choices: Iterable[Choice[T]]) -> None:
        self._root: Branch[T] = Branch()
        fixed: set[str] = set()
        for choice in choices:
            self._root.add(choice)
            path = choice.candidate.path
            if choice.target is not None and path is not None and not {"{", "\n"} & {*path}:
                fixed.add(path)
        self.fixed: dict[str, dict[str, Hit[T] | None]] = {path: self._by_method(path) for path in fixed}

    def _by_method(self, path: str) -> dict[str, Hit[T] | None]:
        """By the methods that are known for the path; any other is FastAPI's."""
        choices = self._fitting(path)
        methods = {method for choice in choices for method in choice.candidate.methods}
        return {method: self._first(choices, path, method) for method in methods}

    def find(self, path: str, method: str) -> Hit[T] | None:
        """None where FastAPI serves."""
        if "\n" in path:  # which the end of a pattern lets pass
            return None
        return self._first(self._fitting(path), path, method)

    def _fitting(self, path: str) -> list[Choice[T]]:
        found: list[Choice[T]] = []
        self._root.collect(path.split("/"), 1, found)
        if len(found) > 1:
            found.sort(key=lambda choice: choice.candidate.index)
        return found

    def _first(self, choices: Iterable[Choice[T]], path: str, method: str) -> Hit[T] | None:
        for candidate, target in choices:
            if candidate.pattern is None:
                return None
            if (match := candidate.pattern.match(path)) is None:
                continue
            values = candidate.values(match)
            if values is None:
                return None
            if not candidate.methods or method in candidate.methods:
                return None if target is None else Hit(candidate, target, values)
        return None
