"""Cells of CSV: what a reader gets back, and what a spreadsheet must not run."""

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.data.csv_lines import CsvLines


class Colour(StrEnum):
    RED = "red"
    FORMULA = "=red"


class Markup(str):
    """Text of its own kind, as templates and column types have."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<b>"

    __format__ = None  # type: ignore[assignment]  # nobody is to ask it


class Price(Decimal):
    """A number of its own kind."""


class Level(Enum):
    HIGH = 3


def lines(*names: str, guard: bool = True, bom: bool = False) -> CsvLines:
    return CsvLines(names, {}, bom=bom, guard=guard)


def read(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode(), newline=""), strict=True))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("", ""),
        (-5, "-5"),
        (-1.5, "-1.5"),
        (1e300, "1e+300"),
        (Decimal("-2.50"), "-2.50"),
        (True, "true"),
        (False, "false"),
        (Colour.RED, "red"),
        (Colour.FORMULA, "'=red"),
        (Level.HIGH, "3"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000006Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(hours=1), "PT1H"),
        (timedelta(hours=-1), "'-PT1H"),
        (Markup("text"), "text"),
        (Markup("=cmd|calc!A1"), "'=cmd|calc!A1"),
        (Path("=1"), "'=1"),
        (Price("-2.50"), "-2.50"),
        (b"\xff\x00", "_wA="),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (["=1"], '["=1"]'),
    ],
)
def test_a_value_has_one_way_to_be_written(value: Any, cell: str) -> None:
    assert read(lines("a", "b").write([(value, 1)])) == [[cell, "1"]]  # type: ignore[list-item]  # as good as a Row


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\xa0=1", "＝1", "＋1", "－1", "＠a"],  # noqa: RUF001 -- the wide signs
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe_unless_told_otherwise(text: str) -> None:
    row: Any = [(text, 1)]
    assert read(lines("a", "b").write(row)) == [[f"'{text}", "1"]]
    assert read(lines("a", "b", guard=False).write(row)) == [[text, "1"]]


def test_the_first_line_is_guarded_too_and_may_begin_with_a_mark() -> None:
    assert lines("=a", "b", bom=True).head() == b"\xef\xbb\xbf'=a,b\r\n"
    assert CsvLines(["a", "b"], {"b": "Name"}, bom=False, guard=True).head() == b"a,Name\r\n"


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text("\",\r\n;'a= ")), min_size=1))
def test_any_text_comes_back(rows: Any) -> None:
    assert read(lines("a", "b", guard=False).write(rows)) == [list(row) for row in rows]
    for cells in read(lines("a", "b").write(rows)):
        assert not any(cell.lstrip()[:1] in set("=+-@") or cell[:1] in set("\t\r\n") for cell in cells if cell)
