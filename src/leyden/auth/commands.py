"""`leyden user`: accounts from the command line."""

import asyncio
import sys
from typing import Annotated

import typer

from leyden.auth.accounts import Accounts
from leyden.auth.emails import clean_email
from leyden.auth.passwords import refuse_weak
from leyden.core import ConfigurationError
from leyden.core.project import Project
from leyden.data import Database

commands = typer.Typer(help="Accounts.")


@commands.command()
def create(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="Asked for if left out.")] = "",
    *,
    name: Annotated[str, typer.Option(help="What others see.")] = "",
    superuser: Annotated[bool, typer.Option("--superuser", help="May do everything.")] = False,
) -> None:
    """Make an account. Asks for the password; without a terminal it is the first line of standard input."""
    address = clean_email(email or _ask_email())
    password = _ask_password() if sys.stdin.isatty() else _read_password()
    refuse_weak(password, email=address)
    # Only now a coroutine: inside one, the first Ctrl-C at a prompt would be swallowed.
    made = asyncio.run(_create(context.obj, address, password, name=name, superuser=superuser))
    typer.echo(f"Made the {'superuser' if superuser else 'account'} {made}.")


async def _create(project: Project, email: str, password: str, *, name: str, superuser: bool) -> str:
    async with project.running() as resources, resources[Database].session() as session:
        accounts = resources[Accounts]
        user = await accounts.register(session, email=email, password=password, name=name, superuser=superuser)
    return user.email


def _ask_email() -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError("Name the e-mail address: leyden user create ada@example.com")
    return str(typer.prompt("E-mail"))


def _ask_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt="The same again"))


def _read_password() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise ConfigurationError("No password came on standard input. Pipe it in as the first line, or use a terminal.")
    return line
