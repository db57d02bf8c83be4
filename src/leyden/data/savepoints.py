"""A part of a unit of work that can be taken back by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from sqlalchemy import URL, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState

from leyden.core import LeydenError, OverloadedError
from leyden.data.backend import Backend
from leyden.data.settings import DataSettings
from leyden.data.translation import translate, translated
from leyden.data.urls import backend_for

SERVER_FAULT = 500
"""From this status on an error is not about what was sent: an outage, a deadlock, a bug."""


@asynccontextmanager
async def savepoint(session: AsyncSession) -> AsyncIterator[None]:
    """What is done inside is taken back alone when an error leaves it; the database's refusals leave it as LeydenErrors.

    After an error below 500 the session goes on as if nothing had happened inside: objects added there are out of it,
    and the columns of those changed there are read again. Call `flush_first` before: it tells whose fault an error is.
    """
    backend = backend_of(session)
    try:
        with translated(backend):
            async with _nested(session, backend):
                yield
    except LeydenError as error:
        if error.status < SERVER_FAULT:
            with translated(backend):
                await _read_again(session)
        raise


@asynccontextmanager
async def _nested(session: AsyncSession, backend: Backend) -> AsyncIterator[None]:
    """At a deadlock MySQL takes back the whole transaction, and then knows no savepoint: that is not what went wrong."""
    try:
        async with session.begin_nested():
            yield
    except SQLAlchemyError as error:
        if translate(error, backend) is None and (first := _outage_before(error, backend)):
            raise first from None
        raise


def _outage_before(error: BaseException, backend: Backend) -> SQLAlchemyError | None:
    """The error in whose handling this one happened, if that means that the database is down or busy."""
    while (earlier := error.__context__) is not None:
        if isinstance(earlier, SQLAlchemyError) and isinstance(translate(earlier, backend), OverloadedError):
            return earlier
        error = earlier
    return None


async def flush_first(session: AsyncSession) -> None:
    """Send what was pending before; an error in that is not about what follows, and ends the unit of work."""
    with translated(backend_of(session)):
        await session.flush()


async def _read_again(session: AsyncSession) -> None:
    """SQLAlchemy forgets what the part had changed, and would read it at the next look, which async code cannot wait for."""
    for instance in list(session):
        state: InstanceState[object] = inspect(instance)
        if state.expired and state.identity is not None:
            await session.get(type(instance), state.identity)


def backend_of(session: AsyncSession) -> Backend:
    """What reads the errors of this session's driver."""
    dialect = session.get_bind().dialect
    return _backend(f"{dialect.name}+{dialect.driver}")


@cache
def _backend(driver: str) -> Backend:
    """To read errors it needs no address; a session tells its driver, but not which Database made it."""
    database = None if driver.startswith("sqlite") else "any"
    url = URL.create(driver, database=database).render_as_string()
    return backend_for(DataSettings(url=url))
