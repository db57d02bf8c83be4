"""Of a file that was left in the middle of a write, the campaign's judge tells what is missing, torn or of nobody."""

import importlib
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def kills(campaign: Path) -> ModuleType:
    return importlib.import_module("chaos.kills")


def entry(kind: str, *keys: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "key": key} for key in keys]


def file_with(folder: Path, *rows: tuple[str, int]) -> Path:
    file = folder / "entries.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE entries (key TEXT, parts INTEGER)")
        connection.executemany("INSERT INTO entries VALUES (?, ?)", rows)
    return file


def test_what_was_acknowledged_must_be_there_and_the_rest_may_be(kills: ModuleType, tmp_path: Path) -> None:
    told = [*entry("intent", "a", "b", "c", "d"), *entry("ack", "a", "b")]
    found = kills.judge(file_with(tmp_path, ("a", 1), ("c", 2), ("c", 2)), told)
    assert (found.acknowledged, found.lost, found.torn, found.of_nobody, found.damaged) == (2, 1, 0, 0, 0)


def test_half_a_unit_of_work_is_torn(kills: ModuleType, tmp_path: Path) -> None:
    told = entry("intent", "a", "b")
    assert kills.judge(file_with(tmp_path, ("a", 3), ("a", 3), ("b", 1)), told).torn == 1


def test_rows_that_nobody_meant_or_that_were_refused_are_told(kills: ModuleType, tmp_path: Path) -> None:
    told = [*entry("intent", "a", "b"), *entry("refused", "b")]
    assert kills.judge(file_with(tmp_path, ("a", 1), ("b", 1), ("x", 1)), told).of_nobody == 2


def test_a_file_that_is_damaged_is_told(kills: ModuleType, tmp_path: Path) -> None:
    file = file_with(tmp_path, *((str(number), 1) for number in range(500)))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE INDEX parts ON entries (parts, key)")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'parts, key', 'key, parts') WHERE name = 'parts'"
        )
    told = entry("intent", *(str(number) for number in range(500)))
    assert kills.judge(file, told).damaged == 1


def test_kills_are_at_every_tenth_call_of_both_kinds_and_later_between_them(kills: ModuleType) -> None:
    points = [kills.point(number) for number in range(kills.KILLS)]
    assert points[:4] == [("pwrite64", 10), ("fdatasync", 10), ("pwrite64", 20), ("fdatasync", 20)]
    writes = {when for call, when in points if call == "pwrite64"}
    assert {10 * step for step in range(1, 21)} <= writes
    assert max(writes) < 220
    assert {when % 10 for when in writes} == set(range(10))
