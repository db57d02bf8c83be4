"""Sessions that only read: no transaction, and a connection for the length of one statement."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from leyden.data.errors import DatabaseDownError, UnitOfWorkError
from leyden.data.replicas import Route
from leyden.data.sessions import ThriftySession


class ReadingSession(Session):
    """SQLAlchemy's session on connections that commit by themselves: each statement gives its connection back."""

    snapshots: Engine
    """What streams come from: a cursor on the server needs a transaction."""
    _depth = 0
    _streams = False

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
        if self._depth:  # what is loaded beside the rows, on the same connection
            return run(*args, **options)
        if (given := options.get("execution_options")) and given.get("stream_results"):
            self._streams = True  # a stream ends with its connection, which stays until the session ends
            options["bind_arguments"] = {"bind": self.snapshots, **(options.get("bind_arguments") or {})}
        self._depth = 1
        try:
            return run(*args, **options)
        finally:
            self._depth = 0
            if not self._streams:
                self._let_go()

    def _let_go(self) -> None:
        if (transaction := self.get_transaction()) is not None and not self.in_nested_transaction():
            transaction.close()


class RoutedSession(ReadingSession):
    """Reads each statement from a replica or from the primary; from there too what the replica could not answer."""

    route: Route
    _on_replica = False
    _refused = False

    def get_bind(self, *args: Any, bind: Engine | Connection | None = None, **options: Any) -> Engine | Connection:
        self._on_replica = bind is None and not self._refused and self.route.to_replica
        if self._on_replica:
            return self.route.replica.engine.sync_engine
        return super().get_bind(*args, bind=bind, **options)

    def _let_go_after(self, run: Callable[..., Any], args: Any, options: dict[str, Any]) -> Any:
        try:
            return super()._let_go_after(run, args, options)
        except (SQLAlchemyError, DatabaseDownError) as error:
            if self._depth or not self._on_replica or not self.route.replica.gives_way(error):
                raise
        self._refused = True
        try:
            return super()._let_go_after(run, args, options)
        finally:
            self._refused = False


class ReadSession(ThriftySession):
    """A session for `select` alone; `database` is where it reads.

    What it streams is as of one moment, on a connection for snapshots that it keeps to its end.
    """

    sync_session_class = ReadingSession
    sync_session: ReadingSession

    def __init__(self, database: Any, bind: AsyncEngine, route: Route | None = None) -> None:
        kind = ReadingSession if route is None else RoutedSession
        super().__init__(
            bind, sync_session_class=kind, expire_on_commit=False, close_resets_only=False, autoflush=False
        )
        self.database = database
        self.sync_session.snapshots = database.snapshots.sync_engine
        if isinstance(self.sync_session, RoutedSession) and route is not None:
            self.sync_session.route = route
