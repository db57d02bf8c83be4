"""Type `make run` twice in a copy of the repository, and end with a sentence when it is not as it should be.

The first time it tells passwords that log in, the second time none; it ends when it is told to, with all that it has
started; and whatever it has written is in one ignored folder.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx2

PATIENCE = 120.0
WRITTEN = {"!! examples/tube/var/"}
LOGIN = re.compile(r"(\S+@\S+)\s+\S\s+([\w-]{16})\s")

Stop = Callable[[subprocess.Popen[bytes]], None]


@dataclass(frozen=True)
class Served:
    url: str
    output: IO[bytes]

    @property
    def log(self) -> str:
        self.output.seek(0)
        return self.output.read().decode()

    @property
    def logins(self) -> list[tuple[str, str]]:
        return LOGIN.findall(self.log)


def main(folder: Path) -> None:
    if subprocess.run(["make", "--question", ".venv/.installed"], cwd=folder, check=False).returncode:
        sys.exit("Error: `make run` would install anew. Run `make .venv/.installed` first.")
    before = status(folder)
    with served(folder, interrupt) as first:
        logins = first.logins
        if not logins:
            raise failure(first, "it told no password")
        log_in(first, *logins[0])
    with served(folder, subprocess.Popen.terminate) as second:
        if second.logins:
            raise failure(second, "it told passwords a second time")
    written = {line for line in status(folder) - before if "__pycache__" not in line}
    if written != WRITTEN:
        sys.exit(f"Error: `make run` should write {WRITTEN}, and wrote {written}.")
    print(f"make run told {len(logins)} accounts once, let one log in, ended twice when told to, and wrote {WRITTEN}")


@contextlib.contextmanager
def served(folder: Path, stop: Stop) -> Iterator[Served]:
    """It has become ready, and it and all its processes are gone afterwards."""
    with tempfile.TemporaryFile() as output:
        port = free_port()
        found = Served(f"http://127.0.0.1:{port}", output)
        make = subprocess.Popen(
            ["make", "run"],
            cwd=folder,
            env={**os.environ, "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait(found, lambda: ready(found.url), "it was not ready", ended=lambda: make.poll() is not None)
            yield found
            stop(make)
            wait(found, lambda: make.poll() is not None and not exists(make.pid), "it did not end")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(make.pid, signal.SIGKILL)
            make.wait()


def interrupt(make: subprocess.Popen[bytes]) -> None:
    """As Ctrl+C does: every process that was started from the terminal hears it."""
    os.killpg(make.pid, signal.SIGINT)


def wait(found: Served, happened: Callable[[], bool], what: str, ended: Callable[[], bool] = lambda: False) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if ended() or time.monotonic() > deadline:
            raise failure(found, what)
        time.sleep(0.1)


def failure(found: Served, what: str) -> SystemExit:
    return SystemExit(f"{found.log}\nError: `make run` is not as it should be: {what}.")


def ready(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(f"{url}/health/ready", timeout=5).status_code == httpx2.codes.OK
    return False


def exists(group: int) -> bool:
    """Whether a process of it is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def log_in(found: Served, email: str, password: str) -> None:
    form = {"username": email, "password": password}
    token = httpx2.post(f"{found.url}/api/auth/login", data=form).raise_for_status().json()["access_token"]
    me = httpx2.get(f"{found.url}/api/auth/me", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    if me.json()["email"] != email:
        raise failure(found, f"{email} logged in and is {me.json()['email']}")


def status(folder: Path) -> set[str]:
    """What git knows of the files there."""
    command = ["git", "status", "--porcelain", "--ignored"]
    return set(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.splitlines())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main(Path(sys.argv[1]))
