"""From nothing to a signed-in call, as the README says it."""

import os
import pty
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

LEYDEN = str(Path(sysconfig.get_path("scripts"), "leyden"))

Start = Callable[..., Any]
Call = Callable[..., subprocess.CompletedProcess[str]]


def test_a_new_app_runs_and_knows_who_is_calling(start: Start, signed_in: Callable[[str], dict[str, str]]) -> None:
    run = start()

    ada = signed_in(run.url)

    assert httpx2.get(f"{run.url}/api/auth/me", headers=ada).json()["email"] == "ada@example.com"
    made = httpx2.post(f"{run.url}/api/notes", json={"title": "Milk"}, headers=ada)
    assert made.status_code == 201
    assert httpx2.get(f"{run.url}/api/notes").status_code == 401
    assert httpx2.get(f"{run.url}/docs").status_code == 200
    assert run.end() == 0


def test_it_says_where_to_look(start: Start) -> None:
    run = start()

    url = run.url

    assert f"docs          {url}/docs" in run.log
    assert "environment   development (implied" in run.log
    assert "Applied the migrations auth_0001, 0002_" in run.log


def test_the_next_steps_are_what_works(call: Call, tmp_path: Path) -> None:
    result = call("new", "shop")

    assert result.returncode == 0
    assert "    cd shop && leyden run\n" in result.stdout
    assert (tmp_path / "shop" / "shop" / "app.py").is_file()


def test_the_tests_of_a_new_app_and_of_a_new_feature_pass(call: Call, shop: Path) -> None:
    assert call("new", "feature", "videos", cwd=shop / "shop").returncode == 0

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=shop,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout


def test_mypy_finds_nothing_in_a_new_app(call: Call, shop: Path, tmp_path: Path) -> None:
    call("new", "feature", "videos", cwd=shop)

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "mypy")],
        cwd=shop,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_models_and_migrations_agree_on_every_database(call: Call, shop: Path, database_url: str) -> None:
    call("new", "feature", "videos", cwd=shop)

    for command in (("upgrade",), ("check",), ("downgrade", "base")):
        done = call("db", *command, cwd=shop, APP_DATA__URL=database_url)
        assert done.returncode == 0, done.stdout + done.stderr


def test_check_inspect_and_shell_know_the_app(call: Call, shop: Path) -> None:
    call("db", "upgrade", cwd=shop)

    assert call("check", cwd=shop).stdout == "Nothing is wrong.\n"
    assert "leyden.http.middleware" in call("inspect", cwd=shop).stdout
    assert call("shell", cwd=shop, stdin="resources[Database].dialect\n").stdout == "'sqlite'\n"


def test_a_person_at_the_prompt_is_told_what_there_is_and_goes_on_after_an_error(call: Call, shop: Path) -> None:
    call("db", "upgrade", cwd=shop)
    ours, theirs = pty.openpty()
    shell = subprocess.Popen([LEYDEN, "shell"], cwd=shop, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    os.write(ours, b"1 / 0\nresources[Database].dialect\nexit()\n")
    shown = b""
    with suppress(OSError):  # how a terminal ends
        while piece := os.read(ours, 4096):
            shown += piece

    assert shell.wait(60) == 0
    os.close(ours)
    assert b"resources[Clock], resources[Events]" in shown
    assert b"ZeroDivisionError" in shown
    assert b"'sqlite'" in shown


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, True), (b"y\n", 0, False)])
def test_a_person_is_asked_before_tables_are_dropped_in_production(
    call: Call, shop: Path, answer: bytes, code: int, *, left: bool
) -> None:
    production = {"APP_ENVIRONMENT": "production"}
    call("db", "upgrade", cwd=shop, **production)
    ours, theirs = pty.openpty()
    asking = subprocess.Popen(
        [LEYDEN, "db", "downgrade", "base"],
        cwd=shop,
        env={**os.environ, **production},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how a terminal ends
        while piece := os.read(ours, 4096):
            shown += piece
            if shown.endswith(b"Go on? [y/N]: "):
                os.write(ours, answer)
    os.close(ours)

    assert asking.wait(60) == code
    assert f"This takes back, in sqlite:///{shop}/var/shop.db:".encode() in shown
    assert shown.index(b"    0002_") < shown.index(b"    auth_0001 (")
    assert (b"took back" not in shown) is left
    assert (call("check", cwd=shop, **production).returncode == 0) is left


def test_one_option_in_the_environment_or_in_config_leaves_the_others_as_they_are(call: Call, shop: Path) -> None:
    config = (shop / "config.toml").read_text()
    (shop / "config.toml").write_text(config.replace('# access_ttl = "PT10M"', 'access_ttl = "PT5M"'))

    assert call("db", "upgrade", cwd=shop, APP_DATA__POOL_SIZE="3").returncode == 0
    assert call("check", cwd=shop, APP_DATA__POOL_SIZE="3").stdout == "Nothing is wrong.\n"
    assert (shop / "var" / "shop.db").exists()


def test_an_async_command_of_the_users_feature_really_runs(call: Call, shop: Path) -> None:
    (shop / "shop" / "notes" / "commands.py").write_text(
        "import asyncio\n\nimport typer\n\ncommands = typer.Typer()\n\n\n"
        "@commands.command()\nasync def count(ctx: typer.Context) -> None:\n"
        "    from leyden.data import Database\n    from sqlalchemy import text\n"
        "    async with ctx.obj.running() as resources, resources[Database].reader() as session:\n"
        "        typer.echo(await session.scalar(text('select 40 + 2')))\n"
    )
    wiring = shop / "shop" / "notes" / "wiring.py"
    wiring.write_text(
        wiring.read_text().replace("routers=", "commands={'notes': 'shop.notes.commands:commands'}, routers=")
    )
    call("db", "upgrade", cwd=shop)

    assert call("notes", "count", cwd=shop).stdout == "42\n"
    assert "The commands of the battery 'notes'." in call("--help", cwd=shop).stdout


@pytest.mark.parametrize("arguments", [("--version",), ("new", "shop"), ("new", "Shop")])
def test_what_needs_no_app_imports_no_database(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    source = (
        "import sys\nfrom leyden.cli.main import main\n"
        f"sys.argv = ['leyden', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'sqlalchemy', 'alembic', 'uvicorn', 'rich'} & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.endswith("[]\n")


def test_only_the_scaffold_imports_templates(shop: Path) -> None:
    source = "import sys\nfrom shop.app import app\nimport leyden.cli.run\nprint('jinja2' in sys.modules)\n"

    done = subprocess.run([sys.executable, "-c", source], cwd=shop, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
