"""A PostgreSQL server of a test's own, to be stopped, restarted and copied as no server of others may be."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from leyden.testing.services import Unavailable

_BINARIES = Path("/usr/lib/postgresql")
_SUPERUSER = "postgres"
_PATIENCE = 30.0


class PostgreSQLCluster:
    """A context manager: `initdb` in a temporary folder, a free port on the loopback, and nothing left on leaving.

    `settings` are lines of postgresql.conf. Raises Unavailable where the server is not installed.
    """

    def __init__(self, **settings: str) -> None:
        self._binaries = _binaries()
        self.port = _free_port()
        self._settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "fsync": "off", **settings}
        self.folder = Path(tempfile.mkdtemp(prefix="leyden-postgresql-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        try:
            self._make()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> float:
        """Start it and wait until it accepts connections; returns the moment of `pg_isready`, by time.monotonic()."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command
                [self._program("postgres"), "-D", str(self._data), "-k", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=_account(),
                group=_account(),
            )
        _wait_for(self.ready, self._complaint)
        return time.monotonic()

    def ready(self) -> bool:
        command = [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603 -- as above

    def stop(self, mode: str = "fast") -> None:
        """`fast` ends transactions and closes; `immediate` is a crash."""
        if self._process is None:
            return
        self._run("pg_ctl", "stop", "-D", self._data, "-m", mode, "-t", str(int(_PATIENCE)))
        self._process.wait(_PATIENCE)
        self._process = None

    def restart(self, mode: str = "fast") -> float:
        self.stop(mode)
        return self.start()

    def copy(self) -> "PostgreSQLCluster":
        """A standby that follows this server by streaming replication, not yet entered."""
        return _Standby(self, **{name: self._settings[name] for name in self._settings if name != "port"})

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make(self) -> None:
        if (owner := _account()) is not None:
            shutil.chown(self.folder, owner)
        self._run("initdb", "-D", self._data, "-U", _SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self._configure()

    def _configure(self) -> None:
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())

    def _program(self, name: str) -> str:
        return str(self._binaries / name)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(  # noqa: S603 -- our own command
            [self._program(program), *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            user=_account(),
            group=_account(),
        )
        if done.returncode:
            raise Unavailable(f"{program} ended with {done.returncode}: {done.stderr.strip()}")

    def _complaint(self) -> str:
        log = (self.folder / "log").read_text(errors="replace")
        return f"PostgreSQL did not answer within {_PATIENCE:g} s; its log:\n{log[-2000:]}"


class _Standby(PostgreSQLCluster):
    """`pg_basebackup -R` of a running server."""

    def __init__(self, primary: PostgreSQLCluster, **settings: str) -> None:
        super().__init__(**settings)
        self._primary = primary

    def _make(self) -> None:
        if (owner := _account()) is not None:
            shutil.chown(self.folder, owner)
        source = f"host=127.0.0.1 port={self._primary.port} user={_SUPERUSER}"
        self._run("pg_basebackup", "-D", self._data, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", source)
        self._configure()  # later lines overrule those of the primary


def _binaries() -> Path:
    found = sorted(_BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Unavailable(f"no PostgreSQL server is installed below {_BINARIES} (Debian: postgresql)")
    return found[-1].parent


def _account() -> str | None:
    """Whose processes they are: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_SUPERUSER).pw_name
    except KeyError:
        raise Unavailable(f"PostgreSQL does not run as root, and there is no user {_SUPERUSER}") from None


def _wait_for(done: Callable[[], bool], complaint: Callable[[], str]) -> None:
    end = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > end:
            raise Unavailable(complaint())
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
