import asyncio

import typer
from leyden.auth import Accounts
from leyden.core.project import Project
from leyden.data import Database
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tube.demo.seed import Login, seed

commands = typer.Typer(help="The example's own commands.", no_args_is_help=True)
LOCK = "seed"
PATIENCE = 1.0  # seconds until somebody wants to see that it moves


@commands.callback()
def tube() -> None:
    """Keeps `seed` a subcommand while it is the only one."""


@commands.command("seed")
async def seed_command(context: typer.Context) -> None:
    """Add demonstration accounts, channels and videos, unless some of them are there."""
    project: Project = context.obj
    progress = Progress(console=Console(stderr=True), transient=True)
    shown = asyncio.get_running_loop().call_later(PATIENCE, progress.start)
    try:
        async with project.running() as resources:
            database = resources[Database]
            async with database.lock(LOCK), database.session() as session:
                logins = await seed(session, resources[Accounts], progress)
    finally:
        shown.cancel()
        progress.stop()
    # Only now, since a password of an account that was rolled back would be a lie.
    _tell(logins)


def _tell(logins: list[Login]) -> None:
    console = Console()
    if not logins:
        console.print("The demonstration data, or a part of it, is there already: nothing added.")
        return
    table = Table("e-mail", "password", title="Demonstration accounts, shown this once")
    for login in logins:
        table.add_row(login.email, login.password)
    console.print(table)
