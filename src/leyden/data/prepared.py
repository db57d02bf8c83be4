"""Statements declared once, and run straight on the driver."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext
from time import monotonic
from typing import Any, Generic, TypeVar, cast, overload
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter
from sqlalchemy import Connection, CursorResult, Dialect, Select, func, select
from sqlalchemy.engine import result_tuple
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.core import ConfigurationError
from leyden.data.backend import ANSWER_LATE, Use
from leyden.data.cursors import CursorParams
from leyden.data.database import Database
from leyden.data.errors import ContentionError, DatabaseDownError, LockTimeoutError, UnitOfWorkError
from leyden.data.lanes import Answer, Lane
from leyden.data.pages import CursorPage, Page, PageParams, paginate
from leyden.data.plans import TRANSLATED, UNKNOWN, Plan, Plans, Row, compile_plan
from leyden.data.reading import reading
from leyden.data.retries import ATTEMPTS, stand_back
from leyden.data.statements import Declared, Statement, declare
from leyden.data.totals import Total
from leyden.data.translation import translate

S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)

Where = Database | AsyncSession
"""A database, on which a statement stands alone; or a session, whose own changes the statement sees."""

STREAMED = 500
"""Rows that a stream takes from the database at once."""

_KEPT = "leyden_plans"


@overload
def prepared(statement: Statement, *, into: type[S]) -> "Prepared[S]": ...
@overload
def prepared(statement: Statement, *, into: None = None) -> "Prepared[Any]": ...
def prepared(statement: Statement, *, into: Any = None) -> "Prepared[Any]":
    """Declare a statement: it is compiled once for each database and runs without the ORM.

    `into` is what a row becomes: a Pydantic model, a dataclass, a TypedDict. Without it a row of one column is the
    column's value, and one of several a SQLAlchemy Row. Raises ConfigurationError for what cannot be prepared.
    """
    return Prepared(statement, into=into)


class Prepared(Generic[T_co]):
    """Called with where to run, a database or a session, and with the statement's parameters by name.

    Raises what a session raises, and ConfigurationError for parameters that the statement does not have.
    """

    def __init__(self, statement: Statement, *, into: Any = None) -> None:
        self._declared = declare(statement)
        self.statement = self._declared.statement
        self.into = into
        self._into = _into(into, self._declared)

    def __repr__(self) -> str:
        return str(self._declared)

    async def __call__(self, where: Where, /, **parameters: Any) -> T_co | None:
        """The only row, or None. Raises ConfigurationError when there are several: `all` is for those."""
        rows = self._into(await self._rows(where, parameters))
        if len(rows) > 1:
            raise ConfigurationError(f"{self} found {len(rows)} rows, and one at most was expected. Call .all(...).")
        return rows[0] if rows else None

    async def all(self, where: Where, /, **parameters: Any) -> list[T_co]:
        """Every row."""
        return self._into(await self._rows(where, parameters))

    async def changed(self, where: Where, /, **parameters: Any) -> int:
        """How many rows an insert, update or delete has changed."""
        if isinstance(self.statement, Select):
            raise ConfigurationError(f"{self} changes nothing. Call it, or .all(...).")
        answer = await self._answer(where, parameters)
        return len(answer.rows) if self._declared.names else answer.changed

    @overload
    async def pages(
        self, where: Where, page: PageParams, total: Total | None = None, /, **parameters: Any
    ) -> Page[T_co]: ...
    @overload
    async def pages(
        self, where: Where, page: CursorParams, total: Total | None = None, /, **parameters: Any
    ) -> CursorPage[T_co]: ...
    async def pages(
        self, where: Where, page: PageParams | CursorParams, total: Total | None = None, /, **parameters: Any
    ) -> Page[Any] | CursorPage[Any]:
        """One page of the rows of a select, as `paginate` makes it, through SQLAlchemy's own execution."""
        if not isinstance(self.statement, Select):
            raise ConfigurationError(f"{self} has no pages, which only a select has. Call .all(...).")
        if _database_of(where) is not None:
            self._refuse_alone(where)
        if isinstance(where, Database):
            async with where.reader() as session:
                return await self.pages(session, page, total, **parameters)
        await self._check(where, parameters)
        found: Any = await paginate(where, self.statement.params(parameters), page, total=total)
        rows = [(item,) for item in found.items] if len(self._declared.names) == 1 else found.items
        shaped: Page[Any] | CursorPage[Any] = found.model_copy(update={"items": self._into(rows)})
        return shaped

    async def stream(self, where: Where, /, **parameters: Any) -> AsyncIterator[T_co]:
        """Row by row of a select, of which few are in memory at once; on a database all as of one moment."""
        if not isinstance(self.statement, Select):
            raise ConfigurationError(f"{self} is no stream, which only a select can be. Call .all(...).")
        database = _database_of(where)
        if database is not None:
            self._refuse_alone(where)
        unit = nullcontext(cast("AsyncSession", where))
        async with unit if database is None else database.snapshot() as session:
            await self._check(session, parameters)
            async with reading(await session.connection(), self.statement, parameters) as rows:
                while found := await rows.rows(STREAMED):
                    for row in self._into(found):
                        yield row

    async def _rows(self, where: Where, parameters: dict[str, Any]) -> Sequence[Row]:
        self._refuse_without_rows()
        return (await self._answer(where, parameters)).rows

    async def _answer(self, where: Where, parameters: dict[str, Any]) -> Answer:
        database = _database_of(where)
        if database is None:
            return await self._within(cast("AsyncSession", where), parameters)
        self._refuse_alone(where)
        began = monotonic()
        try:
            return await self._settled(database, parameters)
        except DatabaseDownError as error:
            if self._declared.writes:
                raise
            down = error
        return await self._again(database, parameters, monotonic() - began, down)

    async def _settled(self, database: Database, parameters: dict[str, Any]) -> Answer:
        """Again where it met others, and the database undid it; not where it has waited for all of its time."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._alone(database, parameters)
            except LockTimeoutError:
                raise
            except ContentionError:
                await stand_back(attempt)
        return await self._alone(database, parameters)

    async def _again(
        self, database: Database, parameters: dict[str, Any], spent: float, down: DatabaseDownError
    ) -> Answer:
        """A read whose connection had died meanwhile, in the time that is left of one statement's."""
        patience = database.settings.statement_timeout
        left = None if patience is None else max(0.0, patience + ANSWER_LATE - spent)
        try:
            async with asyncio.timeout(left) as limit:
                return await self._settled(database, parameters)
        except TimeoutError:
            if not limit.expired():
                raise
            raise down from down.__cause__

    async def _alone(self, database: Database, parameters: dict[str, Any]) -> Answer:
        lane = database.lane(Use.WRITE if self._declared.writes else Use.READ)
        try:
            plan = None if lane is None else await self._plan_for(lane, tuple(parameters))
            if lane is None or plan is None:
                return await self._by_session(database, parameters)
            answer = await lane.run(plan, plan.arguments(parameters, database.options))
        except SQLAlchemyError as error:
            if (ours := translate(error, database.backend)) is None:
                raise
            raise ours from error
        return answer if plan.convert is None else Answer(plan.rows(answer.rows), answer.changed)

    async def _plan_for(self, lane: Lane, given: tuple[str, ...]) -> Plan | None:
        plan = _plans_of(self, lane.dialect)[given]
        if plan is UNKNOWN:
            await lane.open()  # before it a dialect does not know its server
            return self._plan(lane.dialect, given)
        return plan

    def _plan(self, dialect: Dialect, given: tuple[str, ...]) -> Plan | None:
        plans = _plans_of(self, dialect)
        plan = plans[given]
        return plans.keep(given, compile_plan(self._declared, dialect, given)) if plan is UNKNOWN else plan

    async def _by_session(self, database: Database, parameters: dict[str, Any]) -> Answer:
        async with database.session() if self._declared.writes else database.reader() as session:
            await self._check(session, parameters)
            return await self._by_sqlalchemy(session, parameters)

    async def _within(self, session: AsyncSession, parameters: dict[str, Any]) -> Answer:
        """On the session's own connection, after what waits to be written."""
        await _send(session)
        connection = await session.connection()
        plan = self._plan(connection.dialect, tuple(parameters))
        options = cast("Connection", connection.sync_connection).get_execution_options()
        if plan is None or TRANSLATED in options:
            return await self._by_sqlalchemy(session, parameters)
        result = await connection.exec_driver_sql(plan.sql, plan.arguments(parameters, options))
        if not plan.returns:
            return Answer((), await _changed(session, result))
        told = tuple([column[1] for column in result.cursor.description])
        if told != plan.told:
            plan.learn(connection.dialect, told)
        return Answer(plan.rows([tuple(row) for row in result]), -1)

    async def _check(self, session: AsyncSession, parameters: dict[str, Any]) -> None:
        """For SQLAlchemy's own execution: what the statement lacks is said, and what waits to be written is sent."""
        await _send(session)
        self._plan(await _dialect_of(session), tuple(parameters))

    async def _by_sqlalchemy(self, session: AsyncSession, parameters: dict[str, Any]) -> Answer:
        statement, values = self._declared.bind(parameters)
        if self._declared.names:
            return Answer([tuple(row) for row in await session.execute(statement, values)], -1)
        # The ORM does not tell how many rows an insert has made.
        keyed = {self._declared.columns.get(name, name): value for name, value in values.items()}
        connection = await session.connection()
        result = await connection.execute(statement, keyed, execution_options={"preserve_rowcount": True})
        return Answer((), await _changed(session, result))

    def _refuse_without_rows(self) -> None:
        if not self._declared.names:
            raise ConfigurationError(f"{self} has no rows to give. Add .returning(...), or call .changed(...).")

    def _refuse_alone(self, where: Where) -> None:
        """What makes no sense outside of a unit of work."""
        if not isinstance(where, Database) and self._declared.writes:
            raise UnitOfWorkError("This session only reads. Give a statement that writes SessionDep's session.")
        if self._declared.locks:
            raise UnitOfWorkError(
                "Rows stay locked until a unit of work ends. Give the statement SessionDep's session."
            )


def _plans_of(statement: Prepared[Any], dialect: Dialect) -> Plans:
    """For each set of parameters. The dialect has them: a plan holds on to it, and here would keep it for ever."""
    kept: dict[str, WeakKeyDictionary[Prepared[Any], Plans]] = vars(dialect)
    try:
        return kept[_KEPT][statement]
    except KeyError:
        return kept.setdefault(_KEPT, WeakKeyDictionary()).setdefault(statement, Plans())


async def _send(session: AsyncSession) -> None:
    if session.autoflush and (session.new or session.dirty or session.deleted):
        await session.flush()


async def _dialect_of(session: AsyncSession) -> Dialect:
    """A read session is asked for no connection: it would keep it, and could not turn from a replica that is down."""
    database = _database_of(session)
    if database is None:
        return (await session.connection()).dialect
    dialect = database.readers.dialect
    if dialect.server_version_info is None:  # before it was connected it does not know its server
        await database.ping()
    return dialect


async def _changed(session: AsyncSession, result: CursorResult[Any]) -> int:
    """SQLite's driver does not count what begins with WITH."""
    return result.rowcount if result.rowcount >= 0 else await session.scalar(select(func.changes())) or 0


def _database_of(where: Where) -> Database | None:
    """Where a statement stands alone; None for a session that has a transaction."""
    return where if isinstance(where, Database) else getattr(where, "database", None)


def _into(into: Any, declared: Declared) -> Callable[[Sequence[Any]], list[Any]]:
    """From rows to what the caller wants."""
    names = declared.names
    if into is not None:
        declared.refuse_nameless()
        validate = TypeAdapter(list[into]).validator.validate_python
        return lambda rows: validate([dict(zip(names, row, strict=True)) for row in rows])
    if len(names) == 1:
        return lambda rows: [row[0] for row in rows]
    make = result_tuple(names)
    return lambda rows: [make(row) for row in rows]
