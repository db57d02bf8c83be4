"""The processes below one that we started, read from /proc."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_SPAWNED = b"multiprocessing.spawn"
"""What stands in the command line of a worker that uvicorn started."""


def workers_of(pid: int) -> list[int]:
    """The worker processes of this server, oldest first; a server that serves by itself is its own worker."""
    return sorted(child for child in _below(pid) if _SPAWNED in _command_line(child)) or [pid]


def alive(pid: int) -> bool:
    """Whether this process still runs; a zombie does not."""
    return _stat(pid)[:1] not in ([], ["Z"])


def _below(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> list[int]:
    everyone = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [other for other in everyone if _stat(other)[1:2] == [str(pid)]]


def _stat(pid: int) -> list[str]:
    """State, parent and so on; nothing when the process is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        line = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return line.rpartition(")")[2].split()  # the name before it may hold spaces
    return []


def _command_line(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return (_PROC / str(pid) / "cmdline").read_bytes()
    return b""
