"""How `leyden run` writes its log: lines to read in development, JSON in production; one entry is always one line."""

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any, ClassVar

from uvicorn.supervisors import Multiprocess

from leyden.http import AlreadyLogged, request_id

LIFESPAN_LOG = "leyden.run.lifespan"
"""Where uvicorn says that a start has failed, which `leyden run` has told with the reason."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "request_id",
    "color_message",
    "taskName",
}


def log_config(*, production: bool, access_log: bool = True) -> dict[str, Any]:
    """A dictConfig for the server and everything in it, also in its child processes."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": WithRequestId},
            "already_logged": {"()": AlreadyLogged},
            "supervised": {"()": Supervised},
            "no_query": {"()": WithoutQuery},
        },
        "formatters": {
            "line": {"()": JsonLines if production else Lines},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
        },
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {
            "alembic": {"level": "WARNING"},
            "asyncio": {"level": "WARNING"},
            "leyden.data.backends": {"level": "WARNING"},  # SQLAlchemy names the logger of a pool after its class
            "watchfiles": {"level": "WARNING"},
            # Below a warning are its starts and stops, which `leyden run` tells, and sockets with their queries.
            "uvicorn.error": {"level": "WARNING", "filters": ["already_logged", "supervised"]},
            LIFESPAN_LOG: {"level": "CRITICAL"},
            "uvicorn.access": {"level": "INFO" if access_log else "WARNING", "filters": ["no_query"]},
        },
    }


def escape(text: str) -> str:
    """Control characters made visible: a value of a user cannot begin a log line of its own or colour the terminal."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


class WithRequestId(logging.Filter):
    """Puts the id of the request being served on each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = request_id()
        return True


class Supervised(logging.Filter):
    """Drops what uvicorn's supervisor says of workers that have ended, which `leyden run` says in its own words."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.funcName != Multiprocess.keep_subprocess_alive.__name__


class WithoutQuery(logging.Filter):
    """Takes the query out of the server's access records: it may hold tokens, and logs are kept for long."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:  # noqa: PLR2004 -- client, method, path, version, status
            client, method, path, version, status = record.args
            record.msg = "%s %s %s %s"
            record.args = (method, str(path).partition("?")[0], status, client)
            record.http_version = version
        return True


class Lines(logging.Formatter):
    """`12:01:02 INFO    leyden.http  what happened  [request id]`, with colours on a terminal."""

    _COLOURS: ClassVar[dict[int, str]] = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}

    def __init__(self) -> None:
        super().__init__()
        self._coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")  # noqa: DTZ006 -- the reader's own time
        name = {"uvicorn.error": "server", "uvicorn.access": "request"}.get(record.name, record.name)
        identity = getattr(record, "request_id", None)
        line = f"{time} {self._level(record)} {name}  {escape(record.getMessage())}" + (
            f"  [{identity}]" if identity else ""
        )
        return line + "".join(f"\n    {escape(part)}" for part in _trace(self, record).splitlines())

    def _level(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<7}"
        colour = self._COLOURS.get(record.levelno, "32")
        return f"\x1b[{colour}m{level}\x1b[0m" if self._coloured else level


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, the record's extra values, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None),
            "process": record.process,
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if trace := _trace(self, record):
            entry["traceback"] = trace
        return json.dumps({name: value for name, value in entry.items() if value is not None}, default=str)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    parts += [formatter.formatStack(record.stack_info)] if record.stack_info else []
    return "\n".join(parts)
