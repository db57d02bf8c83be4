"""`leyden user create`: asks, or reads, and never invents a password."""

import io
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
import typer
from sqlalchemy import select
from typer.main import get_group

from leyden.auth import User
from leyden.auth.commands import commands
from leyden.auth.errors import EmailTakenError, InvalidEmailError, WeakPasswordError
from leyden.core import ConfigurationError, Resources, installed, running
from leyden.data import Database

if TYPE_CHECKING:
    from tests.integration.auth.conftest import MakeApp

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Run = Callable[..., Any]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(make_app: "MakeApp", migrated: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `leyden user ...` on the app, with this text on standard input."""
    batteries = installed(make_app()).batteries

    class Project:
        def running(self) -> AbstractAsyncContextManager[Resources]:
            return running(batteries)

    async def run(*arguments: str, stdin: str = "") -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        await anyio.to_thread.run_sync(
            lambda: get_group(commands)(["create", *arguments], obj=Project(), standalone_mode=False)
        )

    return run


async def users(database: Database) -> list[tuple[str, str, bool]]:
    async with database.reader() as reader:
        rows = await reader.execute(select(User.email, User.name, User.is_superuser).order_by(User.id))
    return [(row.email, row.name, row.is_superuser) for row in rows]


async def test_an_account_is_made_with_the_password_on_standard_input(
    run: Run, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await run("ada@example.com", "--name", "Ada", stdin="analytical engine\n")
    await run("root@example.com", "--superuser", stdin="analytical engine\r\nsecond line\n")
    assert await users(database) == [("ada@example.com", "Ada", False), ("root@example.com", "", True)]
    told = capsys.readouterr()
    assert told.out == "Made the account ada@example.com.\nMade the superuser root@example.com.\n"
    assert "analytical" not in told.out + told.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "refusal"),
    [
        (["ada@example.com"], "", ConfigurationError),
        (["ada@example.com"], "\n", ConfigurationError),
        ([], "analytical engine\n", ConfigurationError),
        (["ada"], "analytical engine\n", InvalidEmailError),
        (["ada@example.com"], "short\n", WeakPasswordError),
        (["ada@example.com"], "password\n", WeakPasswordError),
        (["ada@example.com"], "ada@example.com\n", WeakPasswordError),
    ],
)
async def test_a_refusal_is_a_sentence_and_makes_nobody(
    run: Run, database: Database, arguments: list[str], stdin: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal, match=r"[a-z].*\."):
        await run(*arguments, stdin=stdin)
    assert await users(database) == []


async def test_an_address_that_is_taken_is_refused_in_any_spelling(run: Run, database: Database) -> None:
    await run("ada@example.com", stdin="analytical engine\n")
    with pytest.raises(EmailTakenError, match="already"):
        await run("ADA@EXAMPLE.COM", stdin="analytical engine\n")
    assert len(await users(database)) == 1


async def test_at_a_terminal_it_asks_for_the_address_and_hides_the_password_twice(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def prompt(text: str, **options: Any) -> str:
        asked.append((text, options))
        return "ada@example.com" if text == "E-mail" else "analytical engine"

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(io, "StringIO", Terminal)
    await run()
    assert [text for text, _ in asked] == ["E-mail", "Password"]
    assert asked[1][1] == {"hide_input": True, "confirmation_prompt": "The same again"}
    assert await users(database) == [("ada@example.com", "", False)]


async def test_there_is_no_option_for_a_password(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    await run("--help")
    told = capsys.readouterr().out
    assert "--superuser" in told
    assert "--password" not in told
