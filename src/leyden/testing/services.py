"""The services that tests may use where they answer, and fresh databases on them."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

DATABASES = ("sqlite", "postgresql", "mariadb")

_DRIVERS = {"postgresql": "postgresql+asyncpg", "mariadb": "mysql+asyncmy"}
_SERVERS = {
    "postgresql": ("LEYDEN_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mariadb": ("LEYDEN_TEST_MARIADB", "mysql://root@127.0.0.1:3306/mysql"),
}
_PATIENCE = 10.0
"""Seconds for a server to answer."""


class Unavailable(Exception):  # noqa: N818 -- a state of the machine, not an error of the code
    """The service does not answer."""


def ask(service: str) -> None:
    """Speak to a service on its standard loopback port; raises Unavailable when it does not answer as it should."""
    if (reason := _why_not(service)) is not None:
        raise Unavailable(reason)


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test for want of something on this machine; fail it where LEYDEN_REQUIRE_SERVICES says all must be there."""
    if os.environ.get("LEYDEN_REQUIRE_SERVICES") == "1":
        pytest.fail(f"LEYDEN_REQUIRE_SERVICES=1, but {reason}")
    pytest.skip(reason)


@cache  # once a run: a service that hangs must not be waited for by every test
def _why_not(service: str) -> str | None:
    try:
        _QUESTIONS[service]()
    except KeyError:
        raise ValueError(f"there is no service {service!r}; known here: {', '.join(sorted(_QUESTIONS))}") from None
    except Unavailable as reason:
        return str(reason)
    return None


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new, empty database, dropped on leaving; `folder` holds the file where `kind` is sqlite.

    Raises Unavailable when the server does not answer.
    """
    if kind == "sqlite":
        file = folder / f"test-{secrets.token_hex(4)}.db"
        file.touch()  # which is all that an empty SQLite database is
        yield f"sqlite:///{file}"
        return
    ask(kind)
    server, name = _server(kind), f"leyden_test_{os.getpid()}_{secrets.token_hex(4)}"
    _execute(kind, f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        forced = " WITH (FORCE)" if kind == "postgresql" else ""
        _execute(kind, f"DROP DATABASE {name}{forced}")


def _server(kind: str) -> URL:
    variable, default = _SERVERS[kind]
    return make_url(os.environ.get(variable, default))


def _execute(kind: str, statement: str) -> None:
    asyncio.run(_execute_async(kind, _server(kind), statement))


async def _execute_async(kind: str, server: URL, statement: str) -> None:
    engine = create_async_engine(server.set(drivername=_DRIVERS[kind]), isolation_level="AUTOCOMMIT")
    try:
        async with asyncio.timeout(_PATIENCE), engine.connect() as connection:
            await connection.execute(text(statement))
    except ModuleNotFoundError as error:
        raise Unavailable(f"the driver of {kind} is not installed: {error}") from error
    except (OSError, TimeoutError, DBAPIError) as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        raise Unavailable(f"{kind} does not answer at {server.host}:{server.port}: {reason}") from error
    finally:
        await engine.dispose()


def _exchange(service: str, port: int, question: bytes, answer: bytes) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
            connection.sendall(question)
            heard = connection.recv(64)
    except OSError as error:
        raise Unavailable(f"{service} does not answer at 127.0.0.1:{port}: {error}") from error
    if not heard.startswith(answer):
        raise Unavailable(f"what answers at 127.0.0.1:{port} is not {service}: {heard!r}")


_QUESTIONS: dict[str, Callable[[], None]] = {
    "postgresql": lambda: _execute("postgresql", "SELECT 1"),
    "mariadb": lambda: _execute("mariadb", "SELECT 1"),
    "redis": lambda: _exchange("redis", 6379, b"PING\r\n", b"+PONG"),
    "rabbitmq": lambda: _exchange("rabbitmq", 5672, b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00"),
}
