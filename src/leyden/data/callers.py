"""Who must see what was just written: reads of a caller who has written do not go to a replica for a while."""

import math
import re
from time import monotonic
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import HTTPConnection

from leyden.core import identity_of

COOKIE = "leyden_wrote"
"""Lives as long as a replica may lag behind; that it is there says all."""

_STATE = "leyden_data_caller"
_OPTION = "leyden_data_caller"
_WROTE = "leyden_wrote"
_READS = re.compile(r"\s*(?:SELECT|SAVEPOINT|RELEASE|ROLLBACK|SET|SHOW)\b", re.IGNORECASE)


class Writers:
    """Which identities have written in this process, for as long as a replica may lag behind; times are in seconds."""

    def __init__(self, lag: float) -> None:
        self.lag = lag
        self._last: dict[str, float] = {}

    def note(self, subject: str) -> None:
        self._forget()
        self._last.pop(subject, None)  # the newest stand last
        self._last[subject] = monotonic()

    def __contains__(self, subject: str) -> bool:
        return monotonic() - self._last.get(subject, -math.inf) < self.lag

    def _forget(self) -> None:
        before = monotonic() - self.lag
        for subject in [*self._last]:
            if self._last[subject] > before:
                break
            del self._last[subject]


class Caller:
    """Whoever is at the other end of a request or socket."""

    def __init__(self, connection: HTTPConnection, writers: Writers) -> None:
        self._connection = connection
        self._writers = writers
        self._wrote_at = -math.inf

    @property
    def wrote(self) -> bool:
        """Whether this request has committed something."""
        return self._wrote_at > -math.inf

    @property
    def needs_primary(self) -> bool:
        """In the same request always, on a socket and in later requests for the lag."""
        if self.wrote and (self._is_request or monotonic() - self._wrote_at < self._writers.lag):
            return True
        if COOKIE in self._connection.cookies and self._is_request:  # a socket is older than its cookie's life
            return True
        identity = identity_of(self._connection)  # not earlier: who it is may only turn out in the middle of a request
        return identity is not None and identity.subject in self._writers

    def note(self) -> None:
        """Something of this caller's is committed."""
        self._wrote_at = monotonic()
        if (identity := identity_of(self._connection)) is not None:
            self._writers.note(identity.subject)

    @property
    def _is_request(self) -> bool:
        return bool(self._connection.scope["type"] == "http")


def caller_of(connection: HTTPConnection, writers: Writers) -> Caller:
    """One for the whole of a request, whichever dependency asks first."""
    found = getattr(connection.state, _STATE, None)
    if found is None:
        found = Caller(connection, writers)
        setattr(connection.state, _STATE, found)
    return found


def has_written(state: Any) -> bool:
    """Whether a request with this state in its scope has committed something."""
    found = state.get(_STATE)
    return isinstance(found, Caller) and found.wrote


def on_behalf_of(caller: Caller, engine: AsyncEngine) -> AsyncEngine:
    """The same engine, on whose commits `caller.note` is called where `note_writes` listens."""
    return engine.execution_options(**{_OPTION: caller})


def note_writes(engine: AsyncEngine) -> None:
    """Tell a caller of each commit that is about to be made of something other than reads."""

    def look(connection: Connection, _cursor: object, statement: str, *_: Any) -> None:
        if not _READS.match(statement):
            connection.info[_WROTE] = True

    def tell(connection: Connection) -> None:
        wrote = connection.info.pop(_WROTE, False)
        if wrote and (caller := connection.get_execution_options().get(_OPTION)) is not None:
            caller.note()

    def forget(connection: Connection) -> None:
        connection.info.pop(_WROTE, None)

    event.listen(engine.sync_engine, "before_cursor_execute", look)
    event.listen(engine.sync_engine, "begin", forget)
    event.listen(engine.sync_engine, "commit", tell)
