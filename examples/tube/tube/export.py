"""Downloads of any length: the rows of a statement as JSON Lines for programs, or as CSV for spreadsheets."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fastapi import Response
from leyden.data import Database, stream_csv, stream_json_lines
from pydantic import BaseModel
from sqlalchemy import Select

from tube.answers import NOT_SIGNED_IN, Answers

ROWS: Answers = NOT_SIGNED_IN | {200: {"description": "The rows", "content": {"application/jsonl": {}, "text/csv": {}}}}


class Format(StrEnum):
    JSONL = "jsonl"
    """One JSON object a line."""
    CSV = "csv"


def download(
    database: Database,
    statement: Select[*tuple[Any, ...]],
    kind: Format,
    *,
    name: str,
    into: type[BaseModel],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`into` is a row in JSON Lines, `headers` are names of columns in CSV."""
    if kind is Format.CSV:
        return stream_csv(database, statement, headers=headers, filename=f"{name}.csv")
    return stream_json_lines(database, statement, into=into, filename=f"{name}.jsonl")
