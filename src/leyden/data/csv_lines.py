"""Rows as CSV (RFC 4180), which a spreadsheet may open without running what is in it."""

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from io import StringIO
from typing import Any
from uuid import UUID

from pydantic_core import to_json, to_jsonable_python
from sqlalchemy import Row

from leyden.core import ConfigurationError

_BOM = b"\xef\xbb\xbf"
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 -- spreadsheets in East Asia take the wide ones too
_AS_THEY_ARE = frozenset({int, float, Decimal, UUID, type(None)})
"""The csv module writes them itself; a number is no formula, whatever its sign."""


class CsvLines:
    """`headers` renames columns in the first line; `guard` puts an apostrophe before what looks like a formula."""

    media_type = "text/csv; charset=utf-8"

    def __init__(self, names: Sequence[str], headers: Mapping[str, str], *, bom: bool, guard: bool) -> None:
        if strange := [name for name in headers if name not in names]:
            raise ConfigurationError(f"There is no column '{strange[0]}' in the statement. It has: {', '.join(names)}.")
        self._headers = [headers.get(name, name) for name in names]
        self._bom = bom
        self._guard = guard

    def head(self) -> bytes:
        return (_BOM if self._bom else b"") + self._lines([self._headers])

    def write(self, rows: Sequence[Row[Any]]) -> bytes:
        return self._lines(rows)

    def _lines(self, rows: Sequence[Sequence[Any]]) -> bytes:
        text = StringIO(newline="")
        csv.writer(text).writerows([[self._cell(value) for value in row] for row in rows])
        return text.getvalue().encode()

    def _cell(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is bool:
            return "true" if value else "false"
        if isinstance(value, Enum):
            return self._cell(value.value)
        if isinstance(value, Decimal):
            return Decimal(value)
        plain = str.__str__(value) if isinstance(value, str) else to_jsonable_python(value, bytes_mode="base64")
        return self._text(plain) if isinstance(plain, str) else to_json(plain).decode()

    def _text(self, value: str) -> str:
        return f"'{value}" if self._guard and _looks_like_formula(value) else value


def _looks_like_formula(value: str) -> bool:
    first = value[:1]
    return first in _FORMULA or (first.isspace() and value.lstrip()[:1] in _FORMULA)
