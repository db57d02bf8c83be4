"""Source text that is being written, with the values that its names stand for."""

import linecache
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

_files = count(1)


class Source:
    """Lines, indented by `block`; each value that is no literal is a global of the function, under a name of its own."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._values: dict[str, Any] = dict(names)
        self._used: Counter[str] = Counter()

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self._depth += 1
        before = len(self._lines)
        yield
        if len(self._lines) == before:
            self.line("pass")
        self._depth -= 1

    def name(self, prefix: str) -> str:
        """One that is not taken: p1, p2."""
        self._used[prefix] += 1
        return f"{prefix}{self._used[prefix]}"

    def value(self, prefix: str, value: Any) -> str:
        """The name under which the function finds this value."""
        name = self.name(prefix)
        self._values[name] = value
        return name

    def function(self, name: str) -> Callable[..., Any]:
        """What the text defines under this name; tracebacks show its lines."""
        text, file = str(self), f"<leyden.turbo {next(_files)}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), self._values)  # noqa: S102 -- text of our own: what comes from users are values
        made: Callable[..., Any] = self._values[name]
        return made
