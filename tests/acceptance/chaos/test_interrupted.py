"""A campaign that is stopped in the middle leaves nobody behind: no server, no client, no folder."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leyden.testing.services import skip_or_fail

MARK = "CHAOS_OF"


def started_by(mark: str) -> list[str]:
    """The command of every process that has this in its environment, and so of every process these started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def folder() -> Iterator[Path]:
    """For temporary files: PostgreSQL, which runs as somebody else, must get through to its own."""
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o755)
        yield Path(temporary)


@pytest.mark.parametrize(
    ("part", "busy", "number"), [("postgresql", "chaos.clients", signal.SIGINT), ("kills", "strace", signal.SIGTERM)]
)
def test_what_was_started_has_ended(part: str, busy: str, number: signal.Signals, campaign: Path, folder: Path) -> None:
    if not (list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("strace")):
        skip_or_fail("no PostgreSQL server or no strace is installed")
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "chaos", "--cell", "data", "--only", part]
    env, quiet = {**os.environ, MARK: mark, "TMPDIR": str(folder)}, subprocess.DEVNULL
    running = subprocess.Popen(command, cwd=campaign, env=env, stdout=quiet, stderr=quiet)
    try:
        wait_until(lambda: any(busy in command for command in started_by(mark)))
        assert len(started_by(mark)) > 3  # with those that the started ones have started
        running.send_signal(number)
        assert running.wait(60) == 130
    finally:
        running.kill()
    wait_until(lambda: started_by(mark) == [])
    assert list(folder.iterdir()) == []
