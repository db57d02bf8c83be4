"""Column types, on texts that SQLite may hold."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from leyden.data import Timestamp


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-28 12:30:00.000001", datetime(2026, 11, 28, 12, 30, 0, 1, tzinfo=UTC)),
        ("2026-11-28 12:30:00", datetime(2026, 11, 28, 12, 30, tzinfo=UTC)),
        ("2026-11-28 12:30:00+02:00", datetime(2026, 11, 28, 10, 30, tzinfo=UTC)),
        ("2026-11-28T12:30:00.0+0200", datetime(2026, 11, 28, 10, 30, tzinfo=UTC)),  # as long as what SQLAlchemy writes
        ("2026-11-28", datetime(2026, 11, 28, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_moment_is_read_from_whatever_has_been_written(text: str | None, moment: datetime | None) -> None:
    read = Timestamp().result_processor(sqlite.dialect(), None)
    assert read is not None
    found = read(text)
    assert found == moment
    assert found is None or found.tzinfo is UTC


def test_what_is_no_moment_is_refused_as_it_was() -> None:
    read = Timestamp().result_processor(sqlite.dialect(), None)
    assert read is not None
    with pytest.raises(ValueError, match="isoformat"):
        read("twenty-six letters, no date")
    with pytest.raises(ValueError, match="isoformat"):
        read("twenty-six letters, no da.")


def test_a_type_derived_from_it_keeps_its_own_reading() -> None:
    class Year(Timestamp):
        cache_ok = True

        def process_result_value(self, value: Any, dialect: Any) -> Any:
            moment = super().process_result_value(value, dialect)
            return moment and moment.replace(month=1, day=1)

    read = Year().result_processor(sqlite.dialect(), None)
    assert read is not None
    assert read("2026-11-28 12:30:00.000001") == datetime(2026, 1, 1, 12, 30, 0, 1, tzinfo=UTC)
