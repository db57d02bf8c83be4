"""Sessions that only read: no transaction, and a connection for the length of one statement."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from leyden.data.errors import UnitOfWorkError


class ReadingSession(Session):
    """SQLAlchemy's session on connections that commit by themselves: each statement gives its connection back."""

    _depth = 0

    def execute(self, *args: Any, **options: Any) -> Any:
        return self._let_go_after(super().execute, args, options)

    def scalar(self, *args: Any, **options: Any) -> Any:
        return self._let_go_after(super().scalar, args, options)

    def scalars(self, *args: Any, **options: Any) -> Any:
        return self._let_go_after(super().scalars, args, options)

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        if self.new or self.dirty or self.deleted:
            raise UnitOfWorkError(
                "This session only reads. Take SessionDep, or database.session(), to change something."
            )
        super().flush(objects)

    def _let_go_after(self, run: Callable[..., Any], args: Any, options: dict[str, Any]) -> Any:
        self._depth += 1  # what is loaded beside the rows runs inside, on the same connection
        try:
            return run(*args, **options)
        finally:
            self._depth -= 1
            streams = (options.get("execution_options") or {}).get("stream_results")
            if not self._depth and not streams:
                self._let_go()

    def _let_go(self) -> None:
        if (transaction := self.get_transaction()) is not None and not self.in_nested_transaction():
            transaction.close()


class ReadSession(AsyncSession):
    """A session for `select` alone; `database` is where it reads."""

    sync_session_class = ReadingSession

    def __init__(self, database: Any, bind: AsyncEngine, **options: Any) -> None:
        super().__init__(bind, **options)
        self.database = database
