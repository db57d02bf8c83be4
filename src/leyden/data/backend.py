"""What a database must tell us: how to connect to it, and what its errors mean."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.data.lanes import DriverLane
from leyden.data.settings import DataSettings

TryLock = Callable[[], Awaitable[bool]]

ANSWER_LATE = 1.0
"""Seconds that a server which has ended a statement may take to say so."""

LOGIN_REFUSED = (
    "The server {server} refused the user '{user}': {reason}. "
    "Correct the name or the password in the database URL of the settings."
)
NO_RIGHT = (
    "The server {server} keeps the user '{user}' from the database '{database}': {reason}. "
    "Give that user the right to it, or correct the database URL in the settings."
)


class Use(StrEnum):
    """What connections are for."""

    WRITE = "write"
    """Units of work."""
    READ = "read"
    """Reading, each statement for itself: no transaction."""
    SNAPSHOT = "snapshot"
    """Reading for long, all of it as of one moment: no deadline for a statement."""
    LOOK = "look"
    """Asking whether it lives, and where it is: as reading, and nothing of it is changed."""


class Trouble(StrEnum):
    """What stands behind a driver's error that is neither a conflict nor a bug."""

    DOWN = "down"
    BUSY = "busy"
    CONTENDED = "contended"
    """As busy, and the same work may well succeed when it is done again from its start."""
    LOCKED = "locked"
    """As contended, but the statement has waited for as long as one may."""
    UNSTORABLE = "unstorable"


class Broken(StrEnum):
    """The kind of constraint that refused a change; the value is the code of the field's error."""

    UNIQUE = "unique"
    FOREIGN_KEY = "foreign_key"
    NOT_NULL = "not_null"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken constraint as far as the database names it."""

    kind: Broken
    constraint: str | None = None
    table: str | None = None
    columns: tuple[str, ...] = ()


class Backend(Protocol):
    """One kind of database with one driver."""

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql` or `mysql`."""
        ...

    @property
    def exists(self) -> bool:
        """Whether there is something to connect to, as far as this can be told without connecting."""
        ...

    def engine(self, use: Use, size: int) -> AsyncEngine:
        """An engine of at most `size` connections, of which none is open yet."""
        ...

    def lane(self, use: Use, engine: AsyncEngine) -> DriverLane | None:
        """The straight way to the driver beside this engine; None where there is none."""
        ...

    def migrator(self) -> AsyncEngine:
        """An engine without a pool, for migrations."""
        ...

    def locker(self, name: str) -> AbstractAsyncContextManager[TryLock]:
        """A way to try for a lock that all processes share; leaving gives it back, and so does a crash."""
        ...

    def violation(self, error: DBAPIError) -> Violation | None:
        """None when no constraint was broken."""
        ...

    def trouble(self, error: DBAPIError) -> Trouble | None:
        """None when the error is a bug of ours."""
        ...

    def refusal(self, error: BaseException) -> str | None:
        """What to do about a driver's error when connecting, to be formatted; None when the database does not answer."""
        ...

    def open(self, *, create: bool) -> None:
        """See that what must be there before the first connection is there; with `create`, make it.

        Raises StartError when it is not there or cannot be made.
        """
        ...

    def close(self) -> None: ...

    def apart(self, settings: DataSettings) -> Self:
        """The same database with other sizes and deadlines."""
        ...
