"""What asyncpg and psycopg are told, and how asyncpg runs a plan by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import Dialect

from leyden.data.backend import ANSWER_LATE, Use
from leyden.data.engines import Prepare, as_it_is
from leyden.data.lanes import Answer, Arguments, RunOn
from leyden.data.plans import Plan
from leyden.data.pool import Closed
from leyden.data.settings import DataSettings

_MOST_KEPT = 100
"""Statements that a connection keeps prepared for plans, as many as asyncpg keeps for itself."""


@dataclass(frozen=True, slots=True)
class Driver:
    """One driver: what its connections are opened with, and what SQLAlchemy's engine is told of them."""

    arguments: Callable[[DataSettings, Use | None], dict[str, Any]]
    options: Callable[[Use], dict[str, Any]]
    prepare: Callable[[Use | None], Prepare]
    closed: Closed
    run: RunOn | None


def _asyncpg_arguments(settings: DataSettings, use: Use | None) -> dict[str, Any]:
    server = {"application_name": "leyden"}
    common = {"timeout": settings.connect_timeout, "server_settings": server, "connection_class": _connection_class()}
    if use is None:
        return common
    statement_timeout = None if use is Use.SNAPSHOT else settings.statement_timeout
    limits = {
        "statement_timeout": statement_timeout,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_timeout,
    }
    server |= {name: str(round(seconds * 1000)) for name, seconds in limits.items() if seconds is not None}
    if use is not Use.WRITE:
        server["default_transaction_read_only"] = "on"
    patience = None if statement_timeout is None else statement_timeout + ANSWER_LATE
    return {**common, "command_timeout": patience}


def _asyncpg_options(use: Use) -> dict[str, Any]:
    match use:
        case Use.READ | Use.LOOK:
            return {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
        case Use.SNAPSHOT:
            return {"isolation_level": "REPEATABLE READ"}
        case _:
            return {}


@cache
def _connection_class() -> type:
    """asyncpg's, with room for statements; loaded when it is used, because it need not be installed."""
    _let_connecting_be_cancelled()
    return type("Connection", (import_module("asyncpg").Connection,), {"__slots__": ("kept",)})


def _let_connecting_be_cancelled() -> None:
    """Asyncpg asks a server for TLS through a protocol whose future it awaits once the socket is connected.

    Who is cancelled before leaves that future behind with the error of a closed socket, and the event loop complains
    that nobody asked for it. Whoever does await it gets the error as before.
    """
    # Finishing the connection in a task of its own would need no change to asyncpg, but while a server does not answer
    # every cancelled request would keep one for as long as connecting may take, and there is no bound to those.
    utils: Any = import_module("asyncpg.connect_utils")

    class Upgrade(utils.TLSUpgradeProto):  # type: ignore[misc]  # asyncpg has no types for it
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.on_data.add_done_callback(lambda done: done.cancelled() or done.exception())

    utils.TLSUpgradeProto = Upgrade


async def _run_on_asyncpg(dialect: Dialect, connection: Any, plan: Plan, arguments: Arguments) -> Answer:
    if not plan.returns:
        status: str = await connection.execute(plan.sql, *arguments)
        return Answer((), int(status.rpartition(" ")[2]))  # as in "UPDATE 3" and "INSERT 0 1"
    try:
        return await _fetch(dialect, connection, plan, arguments)
    except import_module("asyncpg").InvalidCachedStatementError:  # told before anything was done: a table has changed
        return await _fetch(dialect, connection, plan, arguments)


async def _fetch(dialect: Dialect, connection: Any, plan: Plan, arguments: Arguments) -> Answer:
    """Through a statement kept on the connection: the server holds it to the types of columns that it has told."""
    kept = _kept(connection)
    found = kept.pop(plan.sql, None) or await _prepare(connection, plan.sql)
    kept[plan.sql] = found  # the one used last stands last
    if len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]
    statement, told = found
    try:
        rows = await statement.fetch(*arguments)
    except _outdated():
        kept.clear()
        raise
    if told != plan.told:
        plan.learn(dialect, told)
    return Answer(rows, -1)


def _kept(connection: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    try:
        kept: dict[str, tuple[Any, tuple[int, ...]]] = connection.kept
    except AttributeError:
        kept = connection.kept = {}
    return kept


async def _prepare(connection: Any, sql: str) -> tuple[Any, tuple[int, ...]]:
    statement = await connection.prepare(sql)
    return statement, tuple([column.type.oid for column in statement.get_attributes()])


@cache
def _outdated() -> tuple[type[Exception], ...]:
    """What asyncpg raises when a table or a type is no longer what a statement was prepared for."""
    asyncpg = import_module("asyncpg")
    return asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError


def _psycopg_arguments(settings: DataSettings, _use: Use | None) -> dict[str, Any]:
    # No server-side prepared statements and nothing that is set for the session: behind PgBouncer the next transaction
    # may meet another server process. There the role has its timeouts: ALTER ROLE ... SET statement_timeout = '5s'.
    return {
        "connect_timeout": max(2, round(settings.connect_timeout)),  # libpq has no shorter one
        "application_name": "leyden",
        "prepare_threshold": None,
    }


def _only_read(connection: Any) -> None:
    """Once, and by the driver: it begins transactions as READ ONLY. As an option of the engine it would be set at each loan."""
    connection.set_read_only(True)


ASYNCPG = Driver(
    arguments=_asyncpg_arguments,
    options=_asyncpg_options,
    prepare=lambda _use: as_it_is,
    closed=lambda connection: bool(connection.is_closed()),
    run=_run_on_asyncpg,
)
PSYCOPG = Driver(
    arguments=_psycopg_arguments,
    options=lambda use: {"isolation_level": "REPEATABLE READ"} if use is Use.SNAPSHOT else {},
    prepare=lambda use: as_it_is if use in (None, Use.WRITE) else _only_read,
    closed=lambda connection: bool(connection.closed),
    run=None,
)
