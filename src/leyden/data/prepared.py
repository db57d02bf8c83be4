"""Statements declared once, and run straight on the driver."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter
from sqlalchemy import Connection, CursorResult, Delete, Dialect, Insert, Select, Update, inspect
from sqlalchemy.engine import result_tuple
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.util import AliasedInsp

from leyden.core import ConfigurationError
from leyden.data.backend import Use
from leyden.data.database import Database
from leyden.data.errors import DatabaseDownError, UnitOfWorkError
from leyden.data.lanes import Answer, Lane
from leyden.data.plans import Plan, Row, Statement, compile_plan
from leyden.data.translation import translate

S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Where = Database | AsyncSession
"""A database, on which a statement stands alone; or a session, whose own changes the statement sees."""

STREAMED = 500
"""Rows that a stream takes from the database at once."""


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
        if not isinstance(statement, Select | Insert | Update | Delete):
            raise ConfigurationError("Only select(...), insert(...), update(...) and delete(...) can be prepared.")
        self.statement, self._names = _with_names(statement)
        self._use = Use.READ if isinstance(statement, Select) else Use.WRITE
        self.into = into
        self._into = _into(into, self._names)
        self._plans: WeakKeyDictionary[Dialect, dict[tuple[str, ...], Plan | None]] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"prepared({' '.join(str(self.statement).split())})"

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
        """How many rows an insert, update or delete without `returning` has changed."""
        return (await self._answer(where, parameters)).changed

    async def stream(self, where: Where, /, **parameters: Any) -> AsyncIterator[T_co]:
        """Row by row, of which few are in memory at once; on a database all as of one moment."""
        if isinstance(where, Database):
            async with where.snapshot() as session:
                async for row in self._stream(session, parameters):
                    yield row
        else:
            async for row in self._stream(where, parameters):
                yield row

    async def _stream(self, session: AsyncSession, parameters: dict[str, Any]) -> AsyncIterator[T_co]:
        result = await session.stream(self.statement, parameters)
        async for rows in result.partitions(STREAMED):
            for row in self._into(rows):
                yield row

    async def _rows(self, where: Where, parameters: dict[str, Any]) -> Sequence[Row]:
        if not self._names:
            raise ConfigurationError(f"{self} has no rows to give. Add .returning(...), or call .changed(...).")
        return (await self._answer(where, parameters)).rows

    async def _answer(self, where: Where, parameters: dict[str, Any]) -> Answer:
        database = where if isinstance(where, Database) else getattr(where, "database", None)
        if database is None:
            return await self._within(cast("AsyncSession", where), parameters)
        if where is not database and self._use is Use.WRITE:
            raise UnitOfWorkError("This session only reads. Give a statement that writes SessionDep's session.")
        lane = database.lane(self._use)
        if lane is None:
            return await self._by_session(database, parameters)
        return await self._straight(database, lane, parameters)

    async def _straight(self, database: Database, lane: Lane, parameters: dict[str, Any]) -> Answer:
        """A read that met a connection which had died meanwhile is done once more."""
        try:
            plan = await self._plan_for(lane, tuple(parameters))
            if plan is None:
                return await self._by_session(database, parameters)
            arguments = plan.arguments(parameters, database.options)
            try:
                answer = await lane.run(plan, arguments)
            except (DBAPIError, DatabaseDownError) as error:
                if self._use is Use.WRITE or not _lost(error):
                    raise
                answer = await lane.run(plan, arguments)
        except SQLAlchemyError as error:
            raise translate(error, database.backend) or error from error
        return answer if plan.convert is None else Answer(plan.rows(answer.rows), answer.changed)

    async def _plan_for(self, lane: Lane, given: tuple[str, ...]) -> Plan | None:
        plans = self._plans.get(lane.dialect)
        if plans is None or given not in plans:
            await lane.open()  # before it a dialect does not know its server
            return self._plan(lane.dialect, given)
        return plans[given]

    def _plan(self, dialect: Dialect, given: tuple[str, ...]) -> Plan | None:
        plans = self._plans.setdefault(dialect, {})
        if given not in plans:
            plans[given] = compile_plan(self.statement, dialect, given, self._names)
        return plans[given]

    async def _by_session(self, database: Database, parameters: dict[str, Any]) -> Answer:
        async with database.reader() if self._use is Use.READ else database.session() as session:
            return await self._by_sqlalchemy(session, parameters)

    async def _within(self, session: AsyncSession, parameters: dict[str, Any]) -> Answer:
        """On the session's own connection, after what waits to be written."""
        if session.autoflush and (session.new or session.dirty or session.deleted):
            await session.flush()
        connection = await session.connection()
        plan = self._plan(connection.dialect, tuple(parameters))
        if plan is None:
            return await self._by_sqlalchemy(session, parameters)
        options = cast("Connection", connection.sync_connection).get_execution_options()
        result = await connection.exec_driver_sql(plan.sql, plan.arguments(parameters, options))
        if not plan.returns:
            return Answer((), result.rowcount)
        if not plan.learned:
            plan.learn(connection.dialect, [column[1] for column in result.cursor.description])
        return Answer(plan.rows([tuple(row) for row in result]), -1)

    async def _by_sqlalchemy(self, session: AsyncSession, parameters: dict[str, Any]) -> Answer:
        self._plan((await session.connection()).dialect, tuple(parameters))  # which refuses wrong parameters
        result = await session.execute(self.statement, parameters)
        if not self._names:
            return Answer((), cast("CursorResult[Any]", result).rowcount)
        return Answer([tuple(row) for row in result], -1)


def _with_names(statement: Statement) -> tuple[Statement, tuple[str, ...]]:
    """The statement, and what the columns of its rows are called; a whole model stands for all of its columns."""
    if isinstance(statement, Select):
        columns = [column for found in statement.column_descriptions for column in _columns(found)]
        names = tuple(name for name, _ in columns)
        _refuse_twice(names)
        return statement.with_only_columns(*(column for _, column in columns)), names
    names = tuple(name for found in statement.returning_column_descriptions for name, _ in _columns(found))
    _refuse_twice(names)
    return statement.inline() if isinstance(statement, Insert) else statement, names


def _columns(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    entity = inspect(found["expr"], raiseerr=False)
    if not isinstance(entity, Mapper | AliasedInsp):
        return [(found["name"], found["expr"])]
    return [(key, getattr(found["expr"], key)) for key in entity.mapper.column_attrs.keys()]  # noqa: SIM118 -- no dict


def _refuse_twice(names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"Two columns of the statement are called '{twice[0]}'. Give one of them a label.")


def _lost(error: Exception) -> bool:
    return isinstance(error, DatabaseDownError) or bool(getattr(error, "connection_invalidated", False))


def _into(into: Any, names: tuple[str, ...]) -> Callable[[Sequence[Any]], list[Any]]:
    """From rows to what the caller wants."""
    if into is not None:
        validate = TypeAdapter(list[into]).validator.validate_python
        return lambda rows: validate([dict(zip(names, row, strict=True)) for row in rows])
    if len(names) == 1:
        return lambda rows: [row[0] for row in rows]
    make = result_tuple(names)
    return lambda rows: [make(row) for row in rows]
