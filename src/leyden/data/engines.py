"""Engines whose connections say in our words that they could not be opened."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from sqlalchemy import URL, Connection, Dialect, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from leyden.core import Events
from leyden.data.errors import DatabaseDownError
from leyden.data.events import QueryRan

Prepare = Callable[[DBAPIConnection], None]

_BEGAN = "leyden_query_began"


def make_engine(url: URL, *, connect_args: Mapping[str, Any], prepare: Prepare, **options: Any) -> AsyncEngine:
    """An engine that calls `prepare` on each new connection and raises DatabaseDownError when there is none to be had."""
    engine = create_async_engine(url, connect_args=dict(connect_args), hide_parameters=True, **options)

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Dialect, _record: object, arguments: list[Any], keywords: dict[str, Any]) -> DBAPIConnection:
        try:
            connection = dialect.connect(*arguments, **keywords)
        except Exception as error:  # each driver has its own errors here, and OSError and TimeoutError besides
            raise DatabaseDownError from error
        try:
            prepare(connection)
        except BaseException as error:
            dialect.do_terminate(connection)  # also for who is cancelled here, of whom nobody else knows it
            if isinstance(error, Exception):  # the same
                raise DatabaseDownError from error
            raise
        return connection

    event.listen(engine.sync_engine, "handle_error", _refuse_silence)
    return engine


def _refuse_silence(context: ExceptionContext) -> None:
    """A driver that gave up waiting, or lost its socket, says so with Python's own errors, which SQLAlchemy lets through."""
    if isinstance(context.original_exception, OSError):
        raise DatabaseDownError from context.original_exception


def watch(engine: AsyncEngine, events: Events) -> None:
    """Emit QueryRan for each statement, as long as somebody listens."""

    def begin(connection: Connection, *_: Any) -> None:
        if events.heard(QueryRan):
            connection.info[_BEGAN] = perf_counter()

    def end(connection: Connection, _cursor: object, statement: str, *_: Any) -> None:
        _tell(connection, statement, failed=False)

    def fail(context: ExceptionContext) -> None:
        if context.connection is not None and not context.connection.invalidated:
            _tell(context.connection, context.statement or "", failed=True)

    def _tell(connection: Connection, statement: str, *, failed: bool) -> None:
        if (began := connection.info.pop(_BEGAN, None)) is not None:
            events.emit(QueryRan(statement, perf_counter() - began, failed))

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)


def as_it_is(connection: DBAPIConnection) -> None:
    """For a database whose new connections need nothing."""


def execute(connection: DBAPIConnection, *statements: str) -> None:
    """Run plain statements on a connection that has just been opened."""
    cursor = connection.cursor()
    try:
        for statement in statements:
            cursor.execute(statement)
    finally:
        cursor.close()
