"""The apps that are measured, and the virtual environments they run in."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from load.rows import VAR

HERE = Path(__file__).parents[1]
ENVIRONMENTS = VAR / "peers"
LIBRARIES = ("fastapi", "starlette", "uvicorn", "pydantic", "sqlalchemy", "asyncpg", "aiosqlite", "uvloop", "httptools")


class InstallError(Exception):
    """A peer could not be installed."""


@dataclass(frozen=True)
class App:
    """One app: its folder, its module there, what it finds in its environment, and where its libraries are if not where
    Leyden's are. What has a server of its own is a script that takes its port.
    """

    name: str
    folder: Path
    module: str
    peer: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    own_server: bool = False

    @property
    def requirements(self) -> Path:
        return self.folder / "requirements.txt"

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.name / "bin" / "python" if self.peer else Path(sys.executable)


HANDBOOK = App("handbook", HERE / "apps", "handbook")
SESSION = App("leyden_session", HERE / "apps", "leyden_session")
PREPARED = App("leyden_prepared", HERE / "apps", "leyden_prepared")
TURBO = {"BENCH_TURBO": "1"}
HANDBOOK_AGAIN = App("handbook_again", HERE / "apps", "handbook")
SESSION_COMPILED = App("session_compiled", HERE / "apps", "leyden_session", environment=TURBO)
PREPARED_COMPILED = App("prepared_compiled", HERE / "apps", "leyden_prepared", environment=TURBO)
COMPILED = (HANDBOOK_AGAIN, SESSION_COMPILED, PREPARED_COMPILED)
"""With turns of their own, and so with handbook code of their own."""
PEERS = tuple(App(name, HERE / "peers" / name, "app", peer=True) for name in ("tortoise", "sqlmodel", "django"))
IN_MEMORY = App("in_memory", HERE / "apps", "in_memory", environment={"PYTHONPATH": str(HERE)})
APPS = (HANDBOOK, SESSION, PREPARED, *COMPILED, *PEERS, IN_MEMORY)


def install(app: App) -> None:
    """Make a peer's environment as its requirements.txt says, unless it is there. Raises InstallError."""
    folder = ENVIRONMENTS / app.name
    wanted = hashlib.sha256(app.requirements.read_bytes() + sys.version.encode()).hexdigest()
    marker = folder / "installed"
    if marker.is_file() and marker.read_text() == wanted:
        return
    print(f"Installing {app.requirements.relative_to(HERE.parent)} ...", end=" ", file=sys.stderr, flush=True)
    before = time.monotonic()
    _call(sys.executable, "-m", "venv", "--clear", str(folder))
    _call(str(app.python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(app.requirements))
    marker.write_text(wanted)
    print(f"{time.monotonic() - before:.0f} s", file=sys.stderr)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()}")


def versions(peers: Sequence[App], libraries: Sequence[str]) -> dict[str, dict[str, str]]:
    """Of what the apps stand on."""
    own = {name: version(name) for name in libraries}
    return {"leyden": own, **{app.name: pinned(app) for app in peers}}


def pinned(app: App) -> dict[str, str]:
    return dict(line.split("==") for line in app.requirements.read_text().splitlines() if "==" in line)
