"""Fresh databases on the services that answer on this machine."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

DATABASES = ("sqlite", "postgresql", "mariadb")

_DRIVERS = {"postgresql": "postgresql+asyncpg", "mariadb": "mysql+asyncmy"}
_SERVERS = {
    "postgresql": ("LEYDEN_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mariadb": ("LEYDEN_TEST_MARIADB", "mysql://root@127.0.0.1:3306/mysql"),
}


class Unavailable(Exception):  # noqa: N818 -- a state of the machine, not an error of the code
    """The service does not answer."""


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new, empty database, dropped on leaving; `folder` holds the file where `kind` is sqlite.

    Raises Unavailable when the server does not answer.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / f'test-{secrets.token_hex(4)}.db'}"
        return
    variable, default = _SERVERS[kind]
    server = make_url(os.environ.get(variable, default))
    name = f"leyden_test_{os.getpid()}_{secrets.token_hex(4)}"
    asyncio.run(_execute(kind, server, f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        forced = " WITH (FORCE)" if kind == "postgresql" else ""
        asyncio.run(_execute(kind, server, f"DROP DATABASE {name}{forced}"))


async def _execute(kind: str, server: URL, statement: str) -> None:
    engine = create_async_engine(server.set(drivername=_DRIVERS[kind]), isolation_level="AUTOCOMMIT")
    try:
        async with asyncio.timeout(10), engine.connect() as connection:
            await connection.execute(text(statement))
    except (OSError, TimeoutError, DBAPIError) as error:
        raise Unavailable(f"{kind} does not answer at {server.host}:{server.port}: {error}") from error
    finally:
        await engine.dispose()
