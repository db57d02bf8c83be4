"""`leyden wallet`: money from outside."""

from typing import Annotated

import typer
from leyden.auth import User
from leyden.auth.emails import email_key
from leyden.core import NotFoundError
from leyden.core.project import Project
from leyden.data import Database, prepared
from sqlalchemy import bindparam, select

from tube.wallet.ledger import grant
from tube.wallet.models import MOST

commands = typer.Typer(help="Money.", no_args_is_help=True)

find_user = prepared(select(User.id).where(User.email_key == bindparam("email_key")))


@commands.callback()
def wallet() -> None:
    """Keeps `grant` a subcommand while it is the only one."""


@commands.command("grant")
async def grant_command(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Whose wallet gets it.")],
    amount: Annotated[int, typer.Argument(min=1, max=MOST, help="In cents: 250 is EUR 2.50.")],
) -> None:
    """Put money into a wallet; the ledger shows it as money without a sender."""
    project: Project = context.obj
    async with project.running() as resources:
        database = resources[Database]
        user_id = await find_user(database, email_key=email_key(email))
        if user_id is None:
            raise NotFoundError(f"Nobody has an account with the address {email}.")
        now = await database.transaction(lambda session: grant(session, user_id, amount))
    typer.echo(f"Granted {amount} to {email}, whose balance is {now.balance} ({now.currency}, in minor units).")
