"""The command line called inside this process, in a folder with or without an app."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leyden.cli.main import cli

APP = """
from leyden import Battery, create_app
from {package}.checks import CHECKS

app = create_app(
    [Battery(name="hello", commands={{"hi": "{package}.commands:commands"}}, checks=CHECKS)], title="Shop"
)


@app.get("/")
async def home() -> str:
    return "hi"
"""
CHECKS = """
from leyden import Check, Finding
from leyden.core import Stage


def found(resources):
    yield Finding("hello.{at}", "Something is odd.", "Mend it.")


CHECKS = (Check(found, (Stage.START, Stage.READY)),)
"""
COMMANDS = """
import asyncio
from pathlib import Path

import typer

commands = typer.Typer()
deeper = typer.Typer()
commands.add_typer(deeper, name="deeper")


@commands.callback()
async def before() -> None:
    await asyncio.sleep(0)
    Path("before").touch()


@commands.command()
async def say(ctx: typer.Context, name: str, times: int = 1) -> None:
    await asyncio.sleep(0)
    typer.echo(f"hello {name} " * times + ctx.obj.entrypoint)


@deeper.command()
async def down() -> None:
    await asyncio.sleep(0)
    raise typer.Exit(7)
"""


@pytest.fixture
def leyden() -> Callable[..., Any]:
    """Run `leyden <arguments>`; a LeydenError is the result's exception."""
    return lambda *arguments, **options: CliRunner().invoke(cli, arguments, **options)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(nowhere: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An app with one battery that has commands and a check; the package's name is the test's own."""
    package = f"app_{abs(hash(request.node.nodeid))}"
    folder = nowhere / package
    folder.mkdir()
    (nowhere / "pyproject.toml").write_text(f'[tool.fastapi]\nentrypoint = "{package}.main:app"\n')
    (folder / "__init__.py").touch()
    (folder / "main.py").write_text(APP.format(package=package))
    (folder / "checks.py").write_text(CHECKS.format(at="W001"))
    (folder / "commands.py").write_text(COMMANDS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
