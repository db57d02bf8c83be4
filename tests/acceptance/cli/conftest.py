"""The installed `leyden`, called as a newcomer calls it; whatever is started here has ended when its test has."""

import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

LEYDEN = str(Path(sysconfig.get_path("scripts"), "leyden"))
DEADLINE = 60.0

Call = Callable[..., subprocess.CompletedProcess[str]]


class Run:
    """`leyden run` in a process group of its own."""

    def __init__(self, folder: Path, output: Path, *arguments: str, **env: str) -> None:
        self._output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                [LEYDEN, "run", "--port", "0", *arguments],
                cwd=folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def url(self) -> str:
        """Where it serves; waits until it says so."""
        return self.wait_for(r"ready at (http://127\.0\.0\.1:\d+)").group(1)

    def wait_for(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, self.log)):
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < end, f"no {pattern!r} in:\n{self.log}"
            time.sleep(0.02)
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def ended(self) -> int:
        """The exit code, when it ends by itself."""
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes of these tests compile every module once, wherever they run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Run `leyden <arguments>` to its end."""

    def run(*arguments: str, cwd: Path = tmp_path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LEYDEN, *arguments],
            cwd=cwd,
            env={**os.environ, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([LEYDEN, "new", "shop"], cwd=folder, check=True, capture_output=True, timeout=DEADLINE)
    return folder / "shop"


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    """An app as `leyden new shop` makes it."""
    shutil.copytree(made, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def start(shop: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start `leyden run` of the shop in the background."""
    runs: list[Run] = []

    def begin(*arguments: str, **env: str) -> Run:
        runs.append(Run(shop, tmp_path / f"run-{len(runs)}.log", *arguments, **env))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill()


@pytest.fixture
def signed_in() -> Callable[[str], dict[str, str]]:
    """Register and log in at a running app; the headers of a bearer."""

    def headers(url: str) -> dict[str, str]:
        account: dict[str, Any] = {"email": "ada@example.com", "password": "a long enough password"}
        registered = httpx2.post(f"{url}/api/auth/register", json=account)
        assert registered.status_code == 201, registered.text
        form = {"username": account["email"], "password": account["password"]}
        tokens = httpx2.post(f"{url}/api/auth/login", data=form).json()
        return {"Authorization": f"Bearer {tokens['access_token']}"}

    return headers
