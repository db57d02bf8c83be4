"""Cursors: a place in a list, opaque and signed for one query of one caller."""

import binascii
import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy import make_url
from starlette.requests import HTTPConnection

from leyden.core import ConfigurationError, Limit, identity_of, to_thread
from leyden.core.keys import derive, secret_from
from leyden.data.database import Database, DatabaseDep
from leyden.data.errors import InvalidCursorError
from leyden.data.settings import DataSettings
from leyden.data.urls import in_memory

LONGEST = 6000
"""Characters: proxies take addresses of about 8,000."""

_VERSION = b"\x01"
_MAC = 16
_OWN = ("cursor", "size")
_PURPOSE = "leyden.data.cursor"
_OF_THIS_PROCESS = secrets.token_urlsafe(32)
_files = Limit(1, waiting=10_000)


@dataclass(frozen=True, slots=True)
class Position:
    """Beside which row a page begins: the values it is sorted by, as the driver gave them."""

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class CursorParams:
    """Which part of a list: what stands beside the cursor, or the beginning.

    Made by hand, `context` is a text that no other list and no other reader has: cursors are good for that one only.
    """

    database: Database
    size: int = 20
    cursor: str | None = None
    context: str | Callable[[], str] = field(default="", repr=False)


async def cursor_params(
    connection: HTTPConnection,
    database: DatabaseDep,
    cursor: Annotated[
        str | None,
        Query(description="`next` or `previous` of another page of the same list; left out, the list begins"),
    ] = None,
    size: Annotated[int, Query(ge=1, le=100, description="How many items a page has")] = 20,
) -> CursorParams:
    # Who calls is known when the page is made, and perhaps not yet: dependencies run in the order of their parameters.
    return CursorParams(database, size, cursor, lambda: context_of(connection))


CursorDep = Annotated[CursorParams, Depends(cursor_params)]


def context_of(connection: HTTPConnection) -> str:
    """What a cursor is good for: this path, with these parameters, asked by this caller."""
    asked = sorted(pair for pair in connection.query_params.multi_items() if pair[0] not in _OWN)
    identity = identity_of(connection)
    return json.dumps([connection.scope["path"], asked, identity and identity.subject])


class Cursors:
    """Writes and reads the cursors of one list for one reader."""

    def __init__(self, key: bytes, context: str) -> None:
        self._key = key
        self._context = hashlib.sha256(context.encode()).digest()

    def write(self, position: Position) -> str:
        """Raises ConfigurationError for values that no cursor can hold."""
        flags = position.backward + 2 * position.inclusive
        content = [flags, *(_written(value) for value in position.values)]
        payload = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        text = _base64(_VERSION + self._mac(payload) + payload)
        if len(text) > LONGEST:
            raise ConfigurationError("The values that a list is sorted by are too long for a cursor. Sort by others.")
        return text

    def read(self, text: str) -> Position:
        """Raises InvalidCursorError for any text that `write` did not make with this key and context."""
        try:
            whole = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) <= LONGEST else b""
        except (ValueError, binascii.Error):
            raise InvalidCursorError from None
        mac, payload = whole[1 : 1 + _MAC], whole[1 + _MAC :]
        # Several texts have the same bytes; one of them is ours.
        if whole[:1] != _VERSION or _base64(whole) != text or not hmac.compare_digest(mac, self._mac(payload)):
            raise InvalidCursorError
        flags, *values = json.loads(payload)
        return Position(tuple(map(_read, values)), backward=bool(flags & 1), inclusive=bool(flags & 2))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, _VERSION + self._context + payload, hashlib.sha256)[:_MAC]


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


_KINDS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "f": (float, float.hex, float.fromhex),
    "n": (Decimal, str, Decimal),
    "m": (datetime, datetime.isoformat, datetime.fromisoformat),  # before date, which it is too
    "d": (date, date.isoformat, date.fromisoformat),
    "t": (time, time.isoformat, time.fromisoformat),
    "s": (timedelta, lambda span: [span.days, span.seconds, span.microseconds], lambda parts: timedelta(*parts)),
    "u": (UUID, lambda value: value.hex, UUID),
    "b": (bytes, bytes.hex, bytes.fromhex),
}


def _written(value: Any) -> Any:
    """What JSON has no type for is a pair of its kind and a text."""
    if value is None or isinstance(value, str | int):  # and bool, which is an int
        return value
    for name, (kind, write, _) in _KINDS.items():
        if isinstance(value, kind):
            return [name, write(value)]
    raise ConfigurationError(f"A list cannot be paged by values such as {type(value).__name__}. Sort by others.")


def _read(value: Any) -> Any:
    return _KINDS[value[0]][2](value[1]) if isinstance(value, list) else value


async def signing_key(settings: DataSettings) -> bytes:
    """The key of a database's cursors, the same in every worker of an app.

    `cursor_key` of the settings; the URL with its password; for a SQLite file, a key file beside it.
    """
    if settings.cursor_key is not None:
        return derive(settings.cursor_key.get_secret_value(), _PURPOSE)
    source = _source(settings.url.get_secret_value())
    if isinstance(source, str):
        return derive(source, _PURPOSE)
    if source not in _known:
        await to_thread(_files, _from_file, source)
    return derive(_known[source], _PURPOSE)


_known: dict[Path, str] = {}


def _from_file(path: Path) -> None:
    _known[path] = secret_from(path, option="data.cursor_key")


@lru_cache(maxsize=16)
def _source(text: str) -> str | Path:
    """The secret itself, or the file that holds it."""
    url = make_url(text.strip())
    if not url.drivername.startswith("sqlite"):
        return text
    name, _, options = str(url.database).removeprefix("file:").partition("?")
    if in_memory(url) or name == ":memory:" or "mode=memory" in options or url.query.get("mode") == "memory":
        return _OF_THIS_PROCESS  # nobody else sees the data
    return Path(f"{name}.key").absolute()
