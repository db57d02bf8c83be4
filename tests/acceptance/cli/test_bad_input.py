"""What is wrong ends in one sentence that says what to do, an exit code that is not 0, and nothing half-written."""

import asyncio
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from leyden.data import Database, DataSettings

Start = Callable[..., Any]
Call = Callable[..., subprocess.CompletedProcess[str]]

MODES: tuple[tuple[str, ...], ...] = ((), ("--no-reload",), ("--workers", "2"))
DOWN = "postgresql://nobody@127.0.0.1:1/nothing"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def without_data(shop: Path) -> None:
    edit(shop / "shop" / "app.py", "        data.battery(settings.data),\n", "")


def data_last(shop: Path) -> None:
    without_data(shop)
    edit(shop / "shop" / "app.py", "notes.battery(),\n", "notes.battery(),\n        data.battery(settings.data),\n")


def fails_to_import(shop: Path) -> None:
    edit(shop / "shop" / "app.py", "settings = Settings()", "settings = Settigns()")


def ends_the_process(shop: Path) -> None:
    edit(shop / "shop" / "app.py", "settings = Settings()", "settings = exit(0)")


def as_it_is(shop: Path) -> None:
    del shop


def no_migration(shop: Path) -> None:
    for path in (shop / "migrations").iterdir():
        path.unlink()


def hole(shop: Path) -> None:
    next((shop / "migrations").glob("0001_*")).unlink()


def unreadable(shop: Path) -> None:
    (shop / "migrations" / "0003_bad.py").write_text("revision = (\n")


def twice(shop: Path) -> None:
    first = next((shop / "migrations").glob("0001_*"))
    shutil.copy(first, first.with_name("0003_again.py"))


def two_ends(shop: Path) -> None:
    (shop / "migrations" / "0003_side.py").write_text('revision, down_revision = "0003_side", "auth_0001"\n')


def tree(shop: Path) -> dict[str, bytes | None]:
    """Every file of the project with what is in it, and every folder."""
    return {str(path.relative_to(shop)): path.read_bytes() if path.is_file() else None for path in shop.rglob("*")}


def one_sentence(output: str) -> str:
    """The sentence, of an output that is nothing else."""
    lines = output.strip().splitlines()
    assert len(lines) == 1, output
    assert lines[0].startswith("Error: ")
    return lines[0]


WRONG: list[tuple[Callable[[Path], None], dict[str, str], str]] = [
    (as_it_is, {"APP_DTA__URL": "x"}, "There is no setting APP_DTA__URL. Did you mean APP_DATA?"),
    (ends_the_process, {}, "SystemExit: 0 (shop/app.py:8)"),
    (as_it_is, {"APP_DATA__URL": DOWN}, "Start it, or correct the database URL"),
    (as_it_is, {"APP_ENVIRONMENT": "production"}, "leyden db upgrade"),
]
WRONG_AS_THE_FIRST = [
    (as_it_is, {"APP_DATA__UURL": "x"}, "There is no setting data.uurl. Did you mean data.url?"),
    (as_it_is, {"APP_ENVIRONMENT": "prod"}, "environment"),
    (as_it_is, {"APP_DATA__URL": "oracle://x"}, "oracle"),
    (without_data, {}, "The battery 'auth' needs 'data', which is not in the list. Add 'data' above 'auth'."),
    (data_last, {}, "The battery 'auth' needs 'data' before it. Move 'data' above 'auth'"),
    (fails_to_import, {}, "NameError: name 'Settigns' is not defined (shop/app.py:8)"),
]
"""The app cannot be imported: it is told in the same place, so that one mode of running is enough."""


@pytest.mark.parametrize(
    ("mode", "spoil", "env", "sentence"),
    [*((mode, *wrong) for mode in MODES for wrong in WRONG), *((MODES[0], *wrong) for wrong in WRONG_AS_THE_FIRST)],
)
def test_run_ends_with_one_sentence_and_writes_nothing(
    start: Start,
    shop: Path,
    mode: tuple[str, ...],
    spoil: Callable[[Path], None],
    env: Mapping[str, str],
    sentence: str,
) -> None:
    spoil(shop)
    before = tree(shop)

    run = start(*mode, **env)

    assert run.ended() == 3
    assert sentence in one_sentence(run.log)
    assert tree(shop) == before


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_migration, "data.E006: Batteries of this app have migrations that the history does not call: auth_0001."),
        (hole, "notes.py comes after the revision 'auth_0001', which is not in"),
        (unreadable, "data.E003: The migration 0003_bad.py cannot be read, line 1"),
        (twice, "data.E003: The revision 'auth_0001' is in two files"),
        (two_ends, "data.E002: The history has 2 ends"),
    ],
)
def test_in_development_nothing_is_made_for_a_history_that_nobody_can_apply(
    call: Call, shop: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    refused(call, shop, spoil, sentence)


@pytest.mark.parametrize("spoil", [hole, unreadable, twice, two_ends])
def test_an_upgrade_by_such_a_history_makes_nothing_either(
    call: Call, shop: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(shop)
    before = tree(shop)

    result = call("db", "upgrade", cwd=shop)

    assert result.returncode == 1
    assert one_sentence(result.stderr)
    assert tree(shop) == before


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("history",), 0),
        (("heads",), 0),
        (("current",), 0),
        (("check",), 1),
        (("downgrade", "--yes"), 1),
        (("downgrade", "base", "--yes"), 0),
        (("upgrade", "nowhere"), 1),
    ],
)
def test_what_changes_nothing_makes_no_database(call: Call, shop: Path, command: tuple[str, ...], code: int) -> None:
    before = tree(shop)
    assert call("db", *command, cwd=shop).returncode == code
    assert tree(shop) == before


@pytest.mark.parametrize(("spoil", "sentence"), [(no_migration, "data.E006"), (two_ends, "data.E002")])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_on_a_server_neither(
    call: Call, shop: Path, database_url: str, spoil: Callable[[Path], None], sentence: str
) -> None:
    refused(call, shop, spoil, sentence, APP_DATA__URL=database_url)
    assert tables(database_url) == []


@pytest.mark.parametrize("mode", [(), ("--workers", "2")])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_is_behind_is_not_touched_in_production(
    call: Call, shop: Path, database_url: str, mode: tuple[str, ...]
) -> None:
    refused(call, shop, as_it_is, "it lacks auth_0001", *mode, APP_DATA__URL=database_url, APP_ENVIRONMENT="production")
    assert tables(database_url) == []


def empty_file(call: Call, shop: Path) -> None:
    del call
    (shop / "var").mkdir()
    (shop / "var" / "shop.db").touch()


def file_of_another_program(call: Call, shop: Path) -> None:
    """In the mode in which SQLite makes a file, and in which a copy of a database may well be."""
    empty_file(call, shop)
    with sqlite3.connect(shop / "var" / "shop.db") as database:
        database.execute("CREATE TABLE theirs (id INTEGER)")
    database.close()


def half_migrated_file(call: Call, shop: Path) -> None:
    assert call("db", "upgrade", "auth_0001", cwd=shop).returncode == 0


@pytest.mark.parametrize(
    ("make", "lacks"),
    [
        (empty_file, "auth_0001"),
        (file_of_another_program, "auth_0001"),
        (half_migrated_file, "0002_"),
    ],
)
def test_a_file_that_is_behind_is_not_touched_in_production(
    call: Call, shop: Path, make: Callable[[Call, Path], None], lacks: str
) -> None:
    make(call, shop)
    refused(call, shop, as_it_is, f"it lacks {lacks}", APP_ENVIRONMENT="production")


def refused(call: Call, shop: Path, spoil: Callable[[Path], None], sentence: str, *mode: str, **env: str) -> None:
    """It ends with the sentence, and every file is as it was."""
    spoil(shop)
    before = tree(shop)

    result = call("run", "--port", "0", *mode, cwd=shop, **env)

    assert result.returncode == 3
    assert sentence in one_sentence(result.stderr)
    assert tree(shop) == before


def tables(url: str) -> list[str]:
    async def ask() -> list[str]:
        async with Database(DataSettings(url=url)) as database, database.readers.connect() as connection:
            return await connection.run_sync(lambda bound: inspect(bound).get_table_names())

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("run", "--port", "0"), 3),
        (("run", "--port", "0", "--workers", "2"), 3),
        (("check",), 1),
        (("check", "--deploy"), 1),
        (("shell",), 1),
        (("user", "create", "ada@example.com"), 1),
    ],
)
def test_a_database_that_was_never_made_is_not_half_made_in_production(
    call: Call, shop: Path, command: tuple[str, ...], code: int
) -> None:
    result = call(*command, cwd=shop, stdin="a long enough password\n", APP_ENVIRONMENT="production")

    assert result.returncode == code
    assert one_sentence(result.stderr) == (
        f"Error: There is no file {shop}/var/shop.db. "
        "Run `leyden db upgrade` to make it, or correct the database URL in the settings."
    )
    assert not (shop / "var").exists(), "neither the database, nor the key, nor their folder"


def test_leyden_db_makes_the_database_in_production(call: Call, shop: Path) -> None:
    assert call("db", "upgrade", cwd=shop, APP_ENVIRONMENT="production").returncode == 0
    assert call("check", cwd=shop, APP_ENVIRONMENT="production").stdout == "Nothing is wrong.\n"


def test_a_taken_port_is_told_before_anything_is_started(call: Call, shop: Path) -> None:
    before = tree(shop)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        result = call("run", "--port", str(port), cwd=shop)

    assert result.returncode == 3
    assert one_sentence(result.stderr) == (
        f"Error: Port {port} of 127.0.0.1 is taken. Stop what listens there, or take another: leyden run --port {port + 1}."
    )
    assert result.stdout == ""
    assert tree(shop) == before


def test_a_migration_that_fails_keeps_a_development_server_from_starting(start: Start, shop: Path) -> None:
    (shop / "migrations" / "0003_bad.py").write_text(
        f'revision, down_revision = "0003_bad", "{last_revision(shop)}"\n\n'
        "def upgrade() -> None:\n    raise RuntimeError('no')\n\n\ndef downgrade() -> None:\n    pass\n"
    )

    run = start()

    assert run.ended() == 3
    assert "RuntimeError: no" in one_sentence(run.log)


def last_revision(shop: Path) -> str:
    return next((shop / "migrations").glob("0002_*")).read_text().partition('down_revision = "')[2].partition('"')[0]


@pytest.mark.parametrize(
    "command", [("run",), ("db", "upgrade"), ("inspect",), ("check",), ("shell",), ("new", "feature", "x")]
)
def test_without_an_app_every_command_says_what_to_type(call: Call, command: tuple[str, ...]) -> None:
    result = call(*command)

    assert result.returncode != 0
    assert "leyden new shop" in one_sentence(result.stderr)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("new", "Shop"), "small letters"),
        (("new", "feature"), "leyden new feature videos"),
        (("new", "shop", "videos"), "leyden new feature videos"),
        (("new", "json"), "already"),
    ],
)
def test_a_name_that_cannot_be_is_a_sentence_and_nothing_is_written(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = call(*arguments)

    assert result.returncode == 1
    assert sentence in one_sentence(result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(call: Call, shop: Path) -> None:
    fails_to_import(shop)

    assert "Traceback" in call("--debug", "run", "--port", "0", cwd=shop).stderr
    assert "Traceback" in call("inspect", cwd=shop, LEYDEN_DEBUG="1").stderr
