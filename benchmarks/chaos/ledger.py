"""Ledgers: what was meant, what was answered and what was broken, as JSON lines in files outside every fault."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self


class Unjudged(Exception):  # noqa: N818 -- a state of the run, not an error of the code
    """The run does not say whether the promise was kept, which counts as a failure."""


class Ledger:
    """A file that is only added to; what has been kept is on the disk."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines: list[str] = []
        self._turn = asyncio.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._append(self._lines)
        os.close(self._file)

    def keep(self, kind: str, **facts: Any) -> None:
        self._append([_line(kind, facts)])

    def note(self, kind: str, **facts: Any) -> None:
        """Keep this with the next that is kept, or on leaving."""
        self._lines.append(_line(kind, facts))

    async def keep_noted(self) -> None:
        """Keep what was noted; callers that come at the same time share one fsync."""
        async with self._turn:
            lines, self._lines = self._lines, []
            if lines:
                await asyncio.to_thread(self._append, lines)

    def _append(self, lines: Sequence[str]) -> None:
        data = "".join(lines).encode()
        if os.write(self._file, data) != len(data):
            raise OSError("the ledger could not be written")
        os.fsync(self._file)


def _line(kind: str, facts: dict[str, Any]) -> str:
    return json.dumps({"kind": kind, **facts}) + "\n"


def read(path: Path) -> list[dict[str, Any]]:
    """Raises Unjudged for a ledger that is missing or torn."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise Unjudged(f"the ledger {path} cannot be read: {error}") from error
