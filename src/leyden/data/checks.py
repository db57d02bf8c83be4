"""What is wrong with the data of an app.

data.E001  start   the database is behind the code        data.W001  start   it is ahead of it
data.E002  start   the history has several ends            data.W002  deploy  SQLite: right for one host
data.E003  start   a migration cannot be read              data.W003  deploy  the power may take the last commits
data.E004  ready   the database does not answer
data.E005  deploy  the database is gone when the app stops                data.W004  deploy  the key of cursors can be guessed
data.E006  start   the history does not call a battery's migration
data.E007  start   a table or a column is gone that the models need        data.W005  ready   the replica does not answer
                                                          data.W006  deploy  no deadline for what psycopg runs
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from leyden.core import Battery, Check, Finding, LeydenError, Resources, Stage
from leyden.data.columns import lacking
from leyden.data.database import Database
from leyden.data.errors import DatabaseBusyError, MigrationError
from leyden.data.history import History, applied_revisions, forked, table_names
from leyden.data.library import library_migrations, library_tables, metadata_of
from leyden.data.translation import translated
from leyden.data.urls import parse

_UNCALLED = "Batteries of this app have migrations that the history does not call:"

_DEADLINES = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s"}

READY_DEADLINE = 1.0
"""Seconds; a probe that waits longer is given up by those who ask."""


class _State(NamedTuple):
    """The revisions that were applied, the tables there are, and what the models need and there is not."""

    current: tuple[str, ...]
    tables: set[str]
    lost: list[str]


_NOTHING = _State((), set(), [])


async def migrated(resources: Resources) -> AsyncIterator[Finding]:
    """The database is where the code expects it to be, and has what the models need; only then it is taken into use.

    Asked at start and not for readiness: a table that somebody changes by hand later is no better on another host, and
    every host would leave the balancer at once, with all that still works.
    """
    database = resources[Database]
    if database.in_memory:  # nobody could have migrated it before us
        return
    refused = False
    async for found in _out_of_place(database, resources.batteries):
        refused |= found.serious
        yield found
    if not refused:
        await database.take_into_use()


async def _out_of_place(database: Database, batteries: Sequence[Battery]) -> AsyncIterator[Finding]:
    try:
        history = History(database.settings.migrations)
    except MigrationError as error:
        yield Finding("data.E003", str(error))
        return
    if len(history.heads) > 1:
        yield Finding("data.E002", forked(history.heads))
        return
    current, tables, lost = await _state(database, batteries, history) if database.exists else _NOTHING
    uncalled = [found.revision for found in library_migrations(batteries) if found.revision not in history]
    unmade = any(table.name not in tables for table in library_tables(batteries))
    if uncalled and (len(history) or unmade):  # tables made without migrations are somebody's own choice
        yield Finding(
            "data.E006", f"{_UNCALLED} {_listed(uncalled)}.", "Run `leyden db make`, then `leyden db upgrade`."
        )
        return
    strange = [name for name in current if name not in history]
    if strange:
        yield Finding("data.W001", f"The database is at the revision '{strange[0]}', which this code does not know.")
    elif (pending := history.pending(current)) or not database.exists:
        lacks = _listed([revision.id for revision in pending]) or "its file"
        yield Finding("data.E001", f"The database is behind the code: it lacks {lacks}.", "Run `leyden db upgrade`.")
        return
    if lost:
        yield Finding("data.E007", f"The models need what the database does not have: {_listed(lost)}.", _hint(strange))


async def _state(database: Database, batteries: Sequence[Battery], history: History) -> _State:
    async with database.looker.connect() as connection:
        current = await applied_revisions(connection)
        # Without a revision the tables were made in some other way, and may be anywhere.
        lost = await lacking(connection, metadata_of(batteries)) if current and len(history) else []
        return _State(current, await table_names(connection), lost)


def _hint(strange: list[str]) -> str:
    if strange:
        return "Newer code has dropped it: run that code, or take its migrations back with it."
    return (
        "If a model has changed, run `leyden db make`, then `leyden db upgrade`. "
        "If somebody has changed the tables by hand, `leyden db check` shows how."
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 -- as above
    return ", ".join(names[:3]) + more


async def answers(resources: Resources) -> AsyncIterator[Finding]:
    """The database answers; a host whose connections are all in use asks on another one, and stays in the game."""
    database = resources[Database]
    try:
        async with asyncio.timeout(READY_DEADLINE):
            with translated(database.backend):
                await database.ping()
    except DatabaseBusyError:
        return
    except (TimeoutError, LeydenError, SQLAlchemyError):
        yield Finding("data.E004", "The database does not answer.")


async def replica_answers(resources: Resources) -> AsyncIterator[Finding]:
    """The replica answers; without it reads go to the primary."""
    replica = resources[Database].replica
    if replica is None:
        return
    try:
        async with asyncio.timeout(READY_DEADLINE):
            await replica.ping()
    except (OSError, LeydenError, SQLAlchemyError):
        yield Finding(
            "data.W005",
            "The replica does not answer; what requests read comes from the database itself meanwhile.",
            "Start it, or correct data.replica (APP_DATA__REPLICA).",
        )


def deployable(resources: Resources) -> Iterator[Finding]:
    """What works on one machine and surprises on several."""
    database = resources[Database]
    if database.dialect != "sqlite":
        return
    if database.in_memory:
        yield Finding(
            "data.E005", "The data is in memory and gone when the app stops.", "Set data.url to a file or a server."
        )
        return
    yield Finding(
        "data.W002",
        "The data is in a SQLite file: right for one host, however many workers, and wrong for several.",
        "With more than one host, set data.url to a PostgreSQL or MariaDB server.",
    )
    if database.settings.synchronous != "FULL":
        yield Finding(
            "data.W003", "With synchronous=NORMAL a power failure may take commits that were answered already."
        )


def cursors_signed(resources: Resources) -> Iterator[Finding]:
    """The key of cursors is derived from the URL: without a password in it there is nothing secret in the key."""
    settings = resources[Database].settings
    url = parse(settings)
    if settings.cursor_key is None and url.password is None and not url.drivername.startswith("sqlite"):
        yield Finding(
            "data.W004",
            "The database URL has no password, so the key that signs the cursors of lists can be guessed.",
            "Set data.cursor_key (APP_DATA__CURSOR_KEY) to at least 32 random characters, the same on every host.",
        )


async def deadlines_set(resources: Resources) -> AsyncIterator[Finding]:
    """Behind PgBouncer nothing can be set for a session, so the deadlines must be the role's or the database's."""
    database = resources[Database]
    if parse(database.settings).drivername != "postgresql+psycopg":
        return
    async with database.readers.connect() as connection:
        values = {name: await connection.scalar(text(f"SHOW {name}")) for name in _DEADLINES}
    if missing := [name for name, value in values.items() if value == "0"]:
        yield Finding(
            "data.W006",
            f"Through psycopg the deadlines of the settings do not apply, and the role has no {', '.join(missing)}.",
            f"Run, for each of them: ALTER ROLE {parse(database.settings).username or '...'} "
            f"SET {missing[0]} = '{_DEADLINES[missing[0]]}'.",
        )


CHECKS = (
    Check(migrated, (Stage.START,)),
    Check(answers, (Stage.READY,)),
    Check(replica_answers, (Stage.START, Stage.READY)),
    Check(deployable, (Stage.DEPLOY,)),
    Check(cursors_signed, (Stage.DEPLOY,)),
    Check(deadlines_set, (Stage.DEPLOY,)),
)
