"""What is wrong ends in one sentence that says what to do, an exit code that is not 0, and nothing half-written."""

import socket
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

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


def one_sentence(output: str) -> str:
    """The sentence, of an output that is nothing else."""
    lines = output.strip().splitlines()
    assert len(lines) == 1, output
    assert lines[0].startswith("Error: ")
    return lines[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("spoil", "env", "sentence"),
    [
        (as_it_is, {"APP_DTA__URL": "x"}, "There is no setting APP_DTA__URL. Did you mean APP_DATA?"),
        (as_it_is, {"APP_DATA__UURL": "x"}, "There is no setting data.uurl. Did you mean data.url?"),
        (as_it_is, {"APP_ENVIRONMENT": "prod"}, "environment"),
        (as_it_is, {"APP_DATA__URL": "oracle://x"}, "oracle"),
        (without_data, {}, "The battery 'auth' needs 'data', which is not in the list. Add 'data' above 'auth'."),
        (data_last, {}, "The battery 'auth' needs 'data' before it. Move 'data' above 'auth'"),
        (fails_to_import, {}, "NameError: name 'Settigns' is not defined (shop/app.py:8)"),
        (ends_the_process, {}, "SystemExit: 0 (shop/app.py:8)"),
        (as_it_is, {"APP_DATA__URL": DOWN}, "Start it, or correct the database URL"),
        (as_it_is, {"APP_ENVIRONMENT": "production"}, "leyden db upgrade"),
    ],
)
def test_run_ends_with_one_sentence(
    start: Start,
    shop: Path,
    mode: tuple[str, ...],
    spoil: Callable[[Path], None],
    env: Mapping[str, str],
    sentence: str,
) -> None:
    spoil(shop)

    run = start(*mode, **env)

    assert run.ended() == 3
    assert sentence in one_sentence(run.log)


@pytest.mark.parametrize("spoil", [without_data, data_last, fails_to_import])
def test_a_failed_start_writes_nothing(call: Call, shop: Path, spoil: Callable[[Path], None]) -> None:
    spoil(shop)
    before = sorted(shop.rglob("*"))

    call("run", "--port", "0", cwd=shop)

    assert sorted(path for path in shop.rglob("*") if "__pycache__" not in path.parts) == before


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


def test_a_database_that_is_behind_is_not_touched_in_production(call: Call, shop: Path) -> None:
    (shop / "var").mkdir()
    (shop / "var" / "shop.db").touch()

    result = call("run", "--port", "0", cwd=shop, APP_ENVIRONMENT="production")

    assert result.returncode == 3
    assert "it lacks auth_0001" in one_sentence(result.stderr)
    with sqlite3.connect(shop / "var" / "shop.db") as database:
        assert database.execute("select count(*) from sqlite_master").fetchone() == (0,)


def test_a_taken_port_is_told_before_anything_is_started(call: Call, shop: Path) -> None:
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
    assert not (shop / "var").exists()


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
