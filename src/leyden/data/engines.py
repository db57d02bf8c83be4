"""Engines whose connections say in our words that they could not be opened."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL, Dialect, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from leyden.data.errors import DatabaseDownError

Prepare = Callable[[DBAPIConnection], None]


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
        except Exception as error:  # the same
            connection.close()
            raise DatabaseDownError from error
        return connection

    return engine


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
