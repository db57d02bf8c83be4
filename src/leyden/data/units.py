"""A unit of work as a session: it is committed whole, or not at all."""

from weakref import WeakSet

from sqlalchemy.engine import Connection, ExceptionContext, Transaction

from leyden.data.errors import UnitOfWorkError
from leyden.data.sessions import ThriftySession

_failed: WeakSet[Transaction] = WeakSet()


class UnitOfWork(ThriftySession):
    """SQLAlchemy's session, which commits nothing where the database has given up on a part of it."""

    committed = False
    """Whether some of its work is in the database for good."""

    async def commit(self) -> None:
        """Raises UnitOfWorkError where an error was caught after which the database undoes everything."""
        if _failed and self.in_transaction():
            _refuse_half((await self.connection()).sync_connection)
        await super().commit()
        self.committed = True


def note_failure(context: ExceptionContext) -> None:
    """For databases that give a transaction up at its first error, and answer COMMIT by undoing all of it."""
    connection = context.connection
    if connection is None or connection.invalidated:
        return
    transaction = connection.get_nested_transaction() or connection.get_transaction()
    if transaction is not None:
        _failed.add(transaction)


def _refuse_half(connection: Connection | None) -> None:
    if connection is not None and connection.get_transaction() in _failed:
        raise UnitOfWorkError(
            "An error was caught in this unit of work after which the database undoes all of it. "
            "Put what may fail into a savepoint: async with session.begin_nested()."
        )
