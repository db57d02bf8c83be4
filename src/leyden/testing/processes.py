"""The processes of a server that we started, read from /proc."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_SPAWNED = b"multiprocessing.spawn"
"""What stands in the command line of a worker that uvicorn started."""
_LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def workers_of(pid: int) -> list[int]:
    """The worker processes of this server, oldest first; a server that serves by itself is its own worker."""
    return sorted(child for child in _below(pid) if _SPAWNED in _read(child, "cmdline")) or [pid]


def alive(pid: int) -> bool:
    """Whether this process still runs; a zombie does not."""
    return _stat(pid)[:1] not in ([], ["Z"])


def accepts(pid: int, port: int) -> bool:
    """Whether the event loop of this process waits for connections to a port.

    The port alone does not tell: workers share one socket, and the first to start makes it answer.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(pid, port)}
    targets = dict(_descriptors(pid))
    watched = {
        line.split()[1]
        for descriptor, target in targets.items()
        if target == "anon_inode:[eventpoll]"
        for line in _read(pid, f"fdinfo/{descriptor}").decode().splitlines()
        if line.startswith("tfd:")
    }
    return any(targets.get(descriptor) in sockets for descriptor in watched)


def _below(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> list[int]:
    everyone = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [other for other in everyone if _stat(other)[1:2] == [str(pid)]]


def _stat(pid: int) -> list[str]:
    """State, parent and so on; nothing when the process is gone."""
    return _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()  # the name before it may hold spaces


def _listening_inodes(pid: int, port: int) -> Iterator[str]:
    for line in _read(pid, "net/tcp").decode().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _descriptors(pid: int) -> Iterator[tuple[str, str]]:
    with suppress(OSError):
        for entry in (_PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):
                yield entry.name, str(entry.readlink())


def _read(pid: int, what: str) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return (_PROC / str(pid) / what).read_bytes()
    return b""
