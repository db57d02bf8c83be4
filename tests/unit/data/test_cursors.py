"""A cursor is a place in one list for one reader, and nothing else passes for one."""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from starlette.requests import HTTPConnection

from leyden.core import ConfigurationError, identify
from leyden.data import DataSettings
from leyden.data.cursors import LONGEST, Cursors, Position, context_of, signing_key
from leyden.data.errors import InvalidCursorError

KEY = bytes(range(32))
CURSORS = Cursors(KEY, "list of one reader")
ALL_KINDS = (
    None, True, False, 0, -(2**70), "", 'ä\0\u2028"', 0.1, float("inf"), -0.0, Decimal("1.10"), Decimal("-1E+30"),
    datetime(2026, 11, 1, 1, 30, 0, 1, tzinfo=UTC), datetime(2026, 1, 1),  # noqa: DTZ001
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    date(1, 1, 1), time(23, 59, 59, 999999), timedelta(days=-3, microseconds=1), UUID(int=7), b"\x00\xff",
)  # fmt: skip


def test_every_kind_of_value_comes_back_as_it_was() -> None:
    read = CURSORS.read(CURSORS.write(Position(ALL_KINDS, backward=True)))
    assert read == Position(ALL_KINDS, backward=True)
    assert [type(value) for value in read.values] == [type(value) for value in ALL_KINDS]
    assert str(read.values[9]) == "-0.0"
    assert CURSORS.read(CURSORS.write(Position((), inclusive=True))) == Position((), inclusive=True)


values = some.one_of(
    some.none(), some.booleans(), some.integers(), some.text(),
    some.floats(allow_nan=False), some.decimals(allow_nan=False), some.datetimes(timezones=some.just(UTC)), some.dates(),
    some.times(), some.uuids(), some.binary(), some.timedeltas(),
)  # fmt: skip


@given(some.lists(values, max_size=4), some.booleans(), some.booleans())
def test_any_values_come_back(found: list[Any], backward: bool, inclusive: bool) -> None:  # noqa: FBT001
    position = Position(tuple(found), backward, inclusive)
    assert CURSORS.read(CURSORS.write(position)) == position


def test_a_cursor_fits_into_an_address_as_it_is() -> None:
    text = CURSORS.write(Position(("a/b+c?d&e=f g",)))
    assert text.replace("-", "").replace("_", "").isalnum()


def test_no_cursor_with_one_other_character_is_taken() -> None:
    for length in range(3):  # base64 ends in three ways
        text = CURSORS.write(Position(("x" * length, 5)))
        for place, there in enumerate(text):
            for other in "AQgwZaz09-_=+/. %é":
                if other != there:
                    with pytest.raises(InvalidCursorError):
                        CURSORS.read(text[:place] + other + text[place + 1 :])


def test_no_cursor_that_is_cut_or_grown_is_taken() -> None:
    text = CURSORS.write(Position((5,)))
    for bad in [
        *(text[:end] for end in range(len(text))),
        text + "A",
        text + "=",
        text + "AAAA",
        " " + text,
        "\0",
        "A" * 10**6,
    ]:
        with pytest.raises(InvalidCursorError):
            CURSORS.read(bad)


@given(some.text(max_size=100))
def test_no_other_text_is_taken(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        CURSORS.read(text)


def test_another_key_or_context_takes_none_of_ours() -> None:
    text = CURSORS.write(Position((5,)))
    for other in (Cursors(KEY[::-1], "list of one reader"), Cursors(KEY, "list of another reader")):
        with pytest.raises(InvalidCursorError):
            other.read(text)


def test_what_no_cursor_can_hold_is_told_to_the_author() -> None:
    with pytest.raises(ConfigurationError, match="such as complex"):
        CURSORS.write(Position((1j,)))
    with pytest.raises(ConfigurationError, match="too long"):
        CURSORS.write(Position(("x" * LONGEST,)))


@dataclass(frozen=True)
class Caller:
    subject: str


def asked(path: str = "/videos", query: bytes = b"", caller: str | None = None) -> str:
    connection = HTTPConnection({"type": "http", "path": path, "query_string": query, "headers": []})
    if caller is not None:
        identify(connection, Caller(caller))
    return context_of(connection)


def test_a_list_is_its_path_its_parameters_and_its_reader() -> None:
    assert asked(query=b"a=1&b=%31&cursor=x&size=3") == asked(query=b"size=9&b=1&a=1")
    lists = [
        asked(), asked("/other"), asked(query=b"a=1"), asked(query=b"a=1&a=1"), asked(query=b"a="), asked(query=b"b=1"),
        asked(caller="1"), asked(caller="2"), asked(caller=""), asked(query=b"a=1", caller="1"), asked(query=b"a=%ff"),
    ]  # fmt: skip
    assert len(set(lists)) == len(lists)


STRONG = "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"


async def test_the_key_of_a_server_stems_from_its_url_with_the_password() -> None:
    first, again, other = [
        await signing_key(DataSettings(url=f"postgresql://user:{password}@host/name")) for password in ("a", "a", "b")
    ]
    assert first == again != other


async def test_a_key_of_ones_own_goes_before_all() -> None:
    keys = [await signing_key(DataSettings(url=url, cursor_key=STRONG)) for url in ("mysql://a@b/c", "sqlite://")]
    assert keys[0] == keys[1] != await signing_key(DataSettings(url="sqlite://"))
    with pytest.raises(ValueError, match="at least 32 characters"):
        DataSettings(url="sqlite://", cursor_key="short")


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_the_key_of_a_sqlite_file_lies_beside_it_for_the_owner_alone(tmp_path: Path) -> None:
    urls: list[Callable[[Path], str]] = [
        lambda folder: f"sqlite:///{folder}/shop.db",
        lambda folder: f"sqlite:///file:{folder}/shop.db?mode=rw&uri=true",
    ]
    keys = {await signing_key(DataSettings(url=url(tmp_path))) for url in urls}
    assert len(keys) == 1
    assert names_in(tmp_path) == ["shop.db.key"]
    assert stat.S_IMODE((tmp_path / "shop.db.key").stat().st_mode) == 0o600
    assert await signing_key(DataSettings(url=f"sqlite:///{tmp_path}/other.db")) not in keys


async def test_a_database_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"):
        await signing_key(DataSettings(url=url))
    assert names_in(tmp_path) == []
