"""PostgreSQL, through asyncpg or psycopg."""

import copy
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from sqlalchemy import URL, NullPool, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.data.backend import LOGIN_REFUSED, NO_RIGHT, Broken, Trouble, TryLock, Use, Violation
from leyden.data.backends.postgresql_drivers import ASYNCPG, PSYCOPG, Driver
from leyden.data.engines import make_engine
from leyden.data.lanes import DriverLane, PooledLane
from leyden.data.pool import keep_alive, pool_of
from leyden.data.settings import DataSettings
from leyden.data.units import note_failure

TROUBLES = {
    "08": Trouble.DOWN,  # connection exception
    "53": Trouble.DOWN,  # no disk, no memory
    "53300": Trouble.BUSY,  # too many connections
    "57P01": Trouble.DOWN,  # admin shutdown
    "57P02": Trouble.DOWN,  # crash shutdown
    "57P03": Trouble.DOWN,  # cannot connect now
    "57P05": Trouble.DOWN,  # idle session timeout
    "25P03": Trouble.DOWN,  # idle in transaction timeout
    "57014": Trouble.BUSY,  # statement timeout
    "55P03": Trouble.LOCKED,  # lock not available
    "40001": Trouble.CONTENDED,  # serialization failure
    "40P01": Trouble.CONTENDED,  # deadlock detected
    "22001": Trouble.UNSTORABLE,  # text too long
    "22003": Trouble.UNSTORABLE,  # number out of range
    "22008": Trouble.UNSTORABLE,  # date out of range
    "22021": Trouble.UNSTORABLE,  # character not in repertoire, such as NUL
    "22P05": Trouble.UNSTORABLE,  # character without a translation
    "22P06": Trouble.UNSTORABLE,  # character that may not be used
}
"""By SQLSTATE, or by its class: the first two characters."""

_NO_DATABASE = (
    "The server {server} has no database called '{database}'. "
    "Make it, for example with `createdb {database}`, or correct the database URL in the settings."
)
REFUSALS = {
    "28000": LOGIN_REFUSED,
    "28P01": LOGIN_REFUSED,  # invalid password
    "3D000": _NO_DATABASE,
    "42501": NO_RIGHT,
}
"""By SQLSTATE."""

_BEHIND_PGBOUNCER = (
    "Before the database {address} stands PgBouncer, which takes no settings for a session, and asyncpg sends some: "
    "{reason}. Write postgresql+psycopg:// in the database URL of the settings."
)
_SENT_IN_VAIN = re.compile(r"unsupported startup parameter")

# Of a connection that was refused libpq keeps the server's words alone.
_SAID = (
    (re.compile(r'permission denied for database "'), NO_RIGHT),
    (re.compile(r'database ".+" does not exist|no such database'), _NO_DATABASE),  # the server's words, and PgBouncer's
    (
        re.compile(
            r'authentication failed|no password supplied|role ".+" (does not exist|is not permitted to log in)'
            r"|no pg_hba\.conf entry|pg_hba\.conf rejects"
        ),
        LOGIN_REFUSED,
    ),
)

_KINDS = {
    "23505": Broken.UNIQUE,
    "23503": Broken.FOREIGN_KEY,
    "23001": Broken.FOREIGN_KEY,
    "23502": Broken.NOT_NULL,
    "23514": Broken.CHECK,
    "23P01": Broken.UNIQUE,
}
# The second statement also lets go of the first one's snapshot, for which a concurrent index would wait for ever.
_STAY_OPEN = (
    text("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'"),  # PostgreSQL 17
    text("SET LOCAL idle_in_transaction_session_timeout = 0"),
)
_REFUSED_BY_DRIVER = re.compile(r"value out of (u?int\d+ )?range|cannot contain NUL")
# A table was changed under a statement that the connection keeps prepared: from its start, the same work succeeds.
_OUTDATED = re.compile(r"cached (statement )?plan")
_KEY = re.compile(r"^Key \((\w+(?:, \w+)*)\)=")


class PostgreSQL:
    dialect = "postgresql"
    exists = True  # or the server says that it does not

    def __init__(self, url: URL, settings: DataSettings, driver: Driver) -> None:
        self._url = url
        self._settings = settings
        self._driver = driver

    @classmethod
    def asyncpg(cls, url: URL, settings: DataSettings) -> "PostgreSQL":
        # sslmode is libpq's name, and what hosting companies print; asyncpg takes the same values as ssl.
        query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
        return cls(url.set(drivername="postgresql+asyncpg", query=query), settings, ASYNCPG)

    @classmethod
    def psycopg(cls, url: URL, settings: DataSettings) -> "PostgreSQL":
        return cls(url.set(drivername="postgresql+psycopg"), settings, PSYCOPG)

    def engine(self, use: Use, size: int) -> AsyncEngine:
        pool = pool_of(size, timeout=self._settings.pool_timeout)
        engine = self._make(use, **pool, **self._driver.options(use))
        keep_alive(engine, self._driver.closed)
        event.listen(engine.sync_engine, "handle_error", note_failure)
        return engine

    def lane(self, use: Use, engine: AsyncEngine) -> DriverLane | None:  # noqa: ARG002 -- either way is the same
        return PooledLane(engine, self._driver.run) if self._driver.run else None

    def migrator(self) -> AsyncEngine:
        return self._make(None, poolclass=NullPool)

    def _make(self, use: Use | None, **options: Any) -> AsyncEngine:
        arguments = self._driver.arguments(self._settings, use)
        return make_engine(self._url, connect_args=arguments, prepare=self._driver.prepare(use), **options)

    @asynccontextmanager
    async def locker(self, name: str) -> AsyncIterator[TryLock]:
        """An advisory lock of a transaction that stays open, on a connection of its own: it ends with either.

        A lock of the session would stay with PgBouncer's server connection, which goes on to somebody else.
        """
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        # At this level a transaction has no snapshot of its own.
        engine = self._make(None, poolclass=NullPool, isolation_level="READ COMMITTED")
        async with engine.connect() as connection:

            async def try_lock() -> bool:
                if not await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}):
                    await connection.rollback()
                    return False
                for statement in _STAY_OPEN:
                    await connection.execute(statement)
                return True

            try:
                yield try_lock
            finally:
                with suppress(DBAPIError):  # a connection that broke has given the lock back by itself
                    await connection.rollback()

    def violation(self, error: DBAPIError) -> Violation | None:
        kind = _KINDS.get(_state(error))
        if kind is None:
            return None
        told = _told(error)
        column = told["column"]
        # In the detail of a foreign key of a row to go, the columns are those of that row; the table is the other one.
        listed = _listed(told["detail"] or "") if kind is not Broken.FOREIGN_KEY else ()
        return Violation(kind, told["constraint"], told["table"], (column,) if column else listed)

    def trouble(self, error: DBAPIError) -> Trouble | None:
        state = _state(error)
        # The drivers refuse some values before the server sees them, with no state of their own.
        if state in ("", "22000") and _REFUSED_BY_DRIVER.search(str(error.orig)):
            return Trouble.UNSTORABLE
        if state in ("", "0A000") and _OUTDATED.search(str(error.orig)):
            return Trouble.CONTENDED
        return TROUBLES.get(state) or TROUBLES.get(state[:2])

    def refusal(self, error: BaseException) -> str | None:
        if self._driver is ASYNCPG and _SENT_IN_VAIN.search(str(error)):
            return _BEHIND_PGBOUNCER
        if state := getattr(error, "sqlstate", None):
            return REFUSALS.get(state)
        return next((sentence for words, sentence in _SAID if words.search(str(error))), None)

    def open(self, *, create: bool) -> None:
        """A database on a server is made by whoever runs the server."""

    def close(self) -> None:
        """Nothing of ours is left behind."""

    def apart(self, settings: DataSettings) -> Self:
        other = copy.copy(self)
        other._settings = settings  # noqa: SLF001 -- a copy of self
        return other


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _told(error: DBAPIError) -> dict[str, str | None]:
    """What the server says besides the message: asyncpg puts it on the cause, psycopg on `diag`."""
    if (diag := getattr(error.orig, "diag", None)) is not None:
        return {
            "constraint": diag.constraint_name,
            "table": diag.table_name,
            "column": diag.column_name,
            "detail": diag.message_detail,
        }
    cause = getattr(error.orig, "__cause__", None)
    return {
        "constraint": getattr(cause, "constraint_name", None),
        "table": getattr(cause, "table_name", None),
        "column": getattr(cause, "column_name", None),
        "detail": getattr(cause, "detail", None),
    }


def _listed(detail: str) -> tuple[str, ...]:
    found = _KEY.match(detail)
    return tuple(found[1].split(", ")) if found else ()
