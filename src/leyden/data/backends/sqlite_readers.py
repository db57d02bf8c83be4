"""Reading from SQLite straight on the driver: threads of our own that drain one queue and answer in batches."""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from typing import Any

from leyden.data.errors import DatabaseBusyError, DatabaseDownError
from leyden.data.pool import PoolStatus

Rows = list[tuple[Any, ...]]
Connect = Callable[[], sqlite3.Connection]
# Plain tuples: one of each is made for every read.
_Job = tuple["asyncio.Future[Rows]", str, Sequence[Any], float]
_Answer = tuple["asyncio.Future[Rows]", Rows | None, BaseException | None]

_BATCH = 64
"""Answers that are sent together; waking the event loop for each one costs a third of the throughput."""
_TICK = 0.005
_CLOSE = 2.0


class Readers:
    """One thread drains the queue; another comes to its help when a caller has waited for some milliseconds.

    `connect` opens a connection for one thread, at its first read, that any thread may interrupt. Times are in seconds.
    """

    def __init__(
        self, connect: Connect, *, threads: int, waiting: int, patience: float, statement_timeout: float
    ) -> None:
        self._connect = connect
        self._threads = threads
        self._waiting = waiting
        self._patience = patience
        self._statement_timeout = statement_timeout
        self._line = _Line()
        self._readers: list[_Reader] = []
        self._absorbed = 0
        self._watcher: asyncio.AbstractEventLoop | None = None

    @property
    def status(self) -> PoolStatus:
        readers = self._readers
        busy = sum(reader.since() < float("inf") for reader in readers)
        return PoolStatus(size=self._threads, opened=len(readers), in_use=busy, waiting=len(self._line.jobs))

    async def fetch(self, sql: str, args: Sequence[Any]) -> Rows:
        """All rows; errors are those of sqlite3.

        Raises DatabaseBusyError when too many wait already, or when this caller has waited too long for its turn.
        """
        line = self._line
        if len(line.jobs) >= self._waiting:
            raise DatabaseBusyError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Rows] = loop.create_future()
        line.jobs.append((answer, sql, args, monotonic()))
        # One that is awake looks at the queue before it sleeps, but if it is inside a long statement, not soon.
        if len(line.idle) + self._absorbed >= len(self._readers):
            self._wake()
        if self._watcher is not loop:
            self._watcher = loop
            loop.call_later(_TICK, self._watch, loop)
        return await answer

    def close(self) -> None:
        """Tell the threads to end: who still waits gets DatabaseDownError, what runs is interrupted."""
        line, readers = self._line, self._readers
        self._line, self._readers, self._absorbed = _Line(), [], 0
        line.refuse(DatabaseDownError)
        for reader in readers:
            reader.stop()
        line.deliver()

    async def aclose(self) -> None:
        """Close, and wait for the threads to end, which takes two seconds at most."""
        readers = self._readers
        self.close()
        until = monotonic() + _CLOSE
        while alive := [reader for reader in readers if reader.thread.is_alive() and monotonic() < until]:
            await asyncio.sleep(_TICK)  # joining would stop the event loop
            for reader in alive:
                reader.stop()  # again: an interrupt just before a statement begins is lost

    def _wake(self) -> None:
        """The one that fell asleep last, whose memory is the warmest; or a new one."""
        line = self._line
        with suppress(IndexError):  # it has just woken up by itself
            if line.idle:
                line.idle.pop().gate.put(None)
                return
        if len(self._readers) < self._threads:
            self._readers.append(_Reader(line, self._connect))

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Every few milliseconds for as long as there is work: what threads inside a statement cannot do themselves."""
        if self._watcher is not loop:
            return
        now, line = monotonic(), self._line
        for reader in self._readers:
            reader.stop_overdue(now - self._statement_timeout)
        line.refuse(DatabaseBusyError, before=now - self._patience)
        self._absorbed = sum(reader.since() < now - _TICK for reader in self._readers)
        line.deliver(loop)  # what a thread had found before it began a long statement
        if line.oldest() < now - _TICK:
            self._wake()
        if line.jobs or len(line.idle) < len(self._readers):
            loop.call_later(_TICK, self._watch, loop)
        else:
            self._watcher = None


@dataclass(eq=False, slots=True)
class _Line:
    """What the event loop and the threads share. All they do to it is a single step of a deque, so it needs no lock."""

    jobs: "deque[_Job]" = field(default_factory=deque)
    answers: "deque[_Answer]" = field(default_factory=deque)
    idle: "deque[_Reader]" = field(default_factory=deque)

    def oldest(self) -> float:
        """When the first in the queue came."""
        try:
            return self.jobs[0][3]
        except IndexError:
            return float("inf")

    def refuse(self, error: type[Exception], *, before: float = float("inf")) -> None:
        """Answer those who came before that time with an error."""
        while self.jobs and self.oldest() <= before:
            try:
                job = self.jobs.popleft()
            except IndexError:
                return
            if job[3] > before:  # a thread took the oldest in between
                self.jobs.appendleft(job)
                return
            self.answers.append((job[0], None, error()))

    def send(self, loop: asyncio.AbstractEventLoop) -> None:
        """From a thread: have what is answered delivered in the event loop."""
        try:
            loop.call_soon_threadsafe(self.deliver, loop)
        except RuntimeError:  # it is closed, and so nobody waits there any more
            self.deliver()

    def deliver(self, here: asyncio.AbstractEventLoop | None = None) -> None:
        """In the event loop `here`: settle its answers, and pass on those of another one."""
        while self.answers:
            try:
                future, rows, error = self.answers.popleft()
            except IndexError:
                return
            loop = future.get_loop()
            if loop is here:
                _settle(future, rows, error)
            else:
                with suppress(RuntimeError):  # as above
                    loop.call_soon_threadsafe(_settle, future, rows, error)


class _Reader:
    """One thread with one connection."""

    def __init__(self, line: _Line, connect: Connect) -> None:
        self.gate: SimpleQueue[None] = SimpleQueue()
        self._line = line
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._job: _Job | None = None
        self._began = 0.0
        self._unwanted: _Job | None = None
        self._ending = False
        self.thread = threading.Thread(target=self._run, name="leyden-sqlite-reader", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self._ending = True
        self._interrupt(self._job)
        self.gate.put(None)

    def since(self) -> float:
        """When the statement began that it is in."""
        return float("inf") if self._job is None else self._began

    def stop_overdue(self, before: float) -> None:
        """Interrupt a statement that began before that time, or for which nobody waits any more."""
        job = self._job
        if job is not None and (self._began < before or job[0].done()):
            self._interrupt(job)

    def _interrupt(self, job: _Job | None) -> None:
        self._unwanted = job
        if job is not None and self._connection is not None:
            with suppress(sqlite3.ProgrammingError):  # closed in between
                self._connection.interrupt()

    def _run(self) -> None:
        try:
            while not self._ending:
                self._drain()
                self._sleep()
        finally:
            if self._connection is not None:
                self._connection.close()

    def _drain(self) -> None:
        line, loop, unsent = self._line, None, 0
        while line.jobs:
            try:
                job = line.jobs.popleft()
            except IndexError:
                break
            loop = job[0].get_loop()
            self._answer(job)
            del job  # nothing of a caller is kept once it has its answer
            unsent += 1
            if unsent == _BATCH:
                line.send(loop)
                unsent = 0
        if loop is not None and unsent:
            line.send(loop)

    def _sleep(self) -> None:
        idle = self._line.idle
        idle.append(self)
        if self._line.jobs:  # came before anybody could see that we sleep
            with suppress(ValueError):  # we are being woken
                idle.remove(self)
                return
        self.gate.get()

    def _answer(self, job: _Job) -> None:
        future = job[0]
        if future.done():  # cancelled
            return
        self._began = monotonic()
        self._job = job
        try:
            self._line.answers.append((future, self._rows(job), None))
        except BaseException as error:  # noqa: BLE001 -- it is the caller's, whatever it is
            self._line.answers.append((future, None, error.with_traceback(None)))  # its frames would hold the answer
        finally:
            self._job = self._unwanted = None

    def _rows(self, job: _Job) -> Rows:
        while True:
            cursor = self._cursor or self._open()
            try:
                cursor.execute(job[1], job[2])
                return cursor.fetchall()
            except BaseException as error:
                self._cursor = None
                cursor.close()  # a row that could not be read would leave the statement and its snapshot open
                forget_error(cursor.connection)
                interrupted = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
                if not interrupted or self._unwanted is job:
                    raise
                # It was meant for the statement before, which had just ended.

    def _open(self) -> sqlite3.Cursor:
        if self._connection is None:
            self._connection = self._connect()
        self._cursor = self._connection.cursor()
        return self._cursor


def forget_error(connection: sqlite3.Connection) -> None:
    """Keep an error from the next caller: Python reports the last one again where a parameter cannot be bound."""
    with suppress(sqlite3.Error):
        connection.execute("SELECT 1").close()


def _settle(future: "asyncio.Future[Rows]", rows: Rows | None, error: BaseException | None) -> None:
    if future.done():  # cancelled
        return
    if error is None:
        future.set_result(rows or [])
    elif isinstance(error, StopIteration):  # a future takes any other
        future.set_exception(RuntimeError(f"A parameter raised {error!r}."))
    else:
        future.set_exception(error)
