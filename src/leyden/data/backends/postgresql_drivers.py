"""What asyncpg and psycopg are told, and how asyncpg runs a plan by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect

from leyden.data.backend import Use
from leyden.data.lanes import Answer, Arguments, RunOn
from leyden.data.plans import Plan
from leyden.data.pool import Closed
from leyden.data.settings import DataSettings

_ANSWER_LATE = 1.0
"""Seconds that a server which has ended a statement may take to say so."""


@dataclass(frozen=True, slots=True)
class Driver:
    """One driver: what its connections are opened with, and what SQLAlchemy's engine is told of them."""

    arguments: Callable[[DataSettings, Use | None], dict[str, Any]]
    options: Callable[[Use], dict[str, Any]]
    marks: Callable[[Use], dict[str, Any]]
    closed: Closed
    run: RunOn | None


def _asyncpg_arguments(settings: DataSettings, use: Use | None) -> dict[str, Any]:
    server = {"application_name": "leyden"}
    if use is None:
        return {"timeout": settings.connect_timeout, "server_settings": server}
    statement_timeout = None if use is Use.SNAPSHOT else settings.statement_timeout
    limits = {
        "statement_timeout": statement_timeout,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_timeout,
    }
    server |= {name: str(round(seconds * 1000)) for name, seconds in limits.items() if seconds is not None}
    if use is not Use.WRITE:
        server["default_transaction_read_only"] = "on"
    patience = None if statement_timeout is None else statement_timeout + _ANSWER_LATE
    return {"timeout": settings.connect_timeout, "command_timeout": patience, "server_settings": server}


def _asyncpg_options(use: Use) -> dict[str, Any]:
    match use:
        case Use.READ:
            return {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
        case Use.SNAPSHOT:
            return {"isolation_level": "REPEATABLE READ"}
        case _:
            return {}


async def _run_on_asyncpg(dialect: Dialect, connection: Any, plan: Plan, arguments: Arguments) -> Answer:
    if not plan.returns:
        status: str = await connection.execute(plan.sql, *arguments)
        return Answer((), int(status.rpartition(" ")[2]))  # as in "UPDATE 3" and "INSERT 0 1"
    if not plan.learned:
        statement = await connection.prepare(plan.sql)
        plan.learn(dialect, [column.type.oid for column in statement.get_attributes()])
    return Answer(await connection.fetch(plan.sql, *arguments), -1)


def _psycopg_arguments(settings: DataSettings, _use: Use | None) -> dict[str, Any]:
    # No server-side prepared statements and nothing that is set for the session: behind PgBouncer the next transaction
    # may meet another server process. There the role has its timeouts: ALTER ROLE ... SET statement_timeout = '5s'.
    return {
        "connect_timeout": max(2, round(settings.connect_timeout)),  # libpq has no shorter one
        "application_name": "leyden",
        "prepare_threshold": None,
    }


ASYNCPG = Driver(
    arguments=_asyncpg_arguments,
    options=_asyncpg_options,
    marks=lambda _use: {},
    closed=lambda connection: bool(connection.is_closed()),
    run=_run_on_asyncpg,
)
PSYCOPG = Driver(
    arguments=_psycopg_arguments,
    options=lambda use: {"isolation_level": "REPEATABLE READ"} if use is Use.SNAPSHOT else {},
    marks=lambda use: {"postgresql_readonly": use is not Use.WRITE},
    closed=lambda connection: bool(connection.closed),
    run=None,
)
