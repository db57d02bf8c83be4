"""The `leyden` command: errors become a sentence and an exit code here, and nowhere else."""

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from leyden.cli.environment import imply
from leyden.cli.groups import Root
from leyden.core.errors import LeydenError
from leyden.core.project import find_project

_DEBUG = "LEYDEN_DEBUG"
_NO_APP = """There is no app in this folder or above it. Make one and run it:

    leyden new shop
    cd shop
    leyden run

`leyden --help` lists the commands."""

cli = typer.Typer(name="leyden", cls=Root, invoke_without_command=True, rich_markup_mode="rich")


def main() -> None:
    """Run `leyden`; a LeydenError is told in its own sentence, with a traceback only where one is asked for."""
    try:
        get_command(cli)(prog_name="leyden")
    except LeydenError as error:
        if os.environ.get(_DEBUG):
            raise
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 -- Typer passes the option's value
    if wanted:
        typer.echo(f"leyden {importlib.metadata.version('leyden')}")
        raise typer.Exit


@cli.callback()
def leyden(
    ctx: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", envvar=_DEBUG, help="Show tracebacks of errors.")] = False,
) -> None:
    """The batteries FastAPI leaves out."""
    del version  # told and done by its callback
    if debug:
        os.environ[_DEBUG] = "1"
    imply("development")
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help() if find_project(Path.cwd()) else _NO_APP)
