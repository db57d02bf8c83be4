"""What both kinds of sessions have in common."""

from sqlalchemy.ext.asyncio import AsyncSession


class ThriftySession(AsyncSession):
    """SQLAlchemy's session, which gives back in a task of its own; here only where it has something to give back."""

    async def __aexit__(self, *error: object) -> None:
        if self.sync_session.get_transaction() is None:  # no connection, and so nothing to wait for
            self.sync_session.close()
        else:
            await super().__aexit__(*error)
