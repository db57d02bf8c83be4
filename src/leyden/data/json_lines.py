"""Rows as JSON, one object a line."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy import Row

Write = Callable[[Sequence[Row[Any]]], list[bytes]]


class JsonLines:
    """As pydantic writes them: `into` as its own serializer does, columns as their values are."""

    media_type = "application/jsonl"

    def __init__(self, names: tuple[str, ...], into: Any = None) -> None:
        self._write = _columns(names) if into is None else _shaped(names, into)

    def head(self) -> bytes:
        return b""

    def write(self, rows: Sequence[Row[Any]]) -> bytes:
        return b"\n".join([*self._write(rows), b""])


def _columns(names: tuple[str, ...]) -> Write:
    # JSON has no NaN and no bytes.
    return lambda rows: [
        to_json(dict(zip(names, row, strict=True)), inf_nan_mode="null", bytes_mode="base64") for row in rows
    ]


def _shaped(names: tuple[str, ...], into: Any) -> Write:
    adapter: TypeAdapter[Any] = TypeAdapter(into)
    validate, dump = TypeAdapter(list[into]).validator.validate_python, adapter.serializer.to_json

    def write(rows: Sequence[Row[Any]]) -> list[bytes]:
        items = validate([dict(zip(names, row, strict=True)) for row in rows])
        return [dump(item, by_alias=True) for item in items]

    return write
