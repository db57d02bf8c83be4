"""The seed `demo`: what `leyden db seed` puts in, and what it shows of it."""

import asyncio

from leyden.auth import Accounts
from leyden.core import Resources
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from tube.demo.seed import Login, seed

PATIENCE = 1.0  # seconds until somebody wants to see that it moves


async def demonstration(session: AsyncSession, resources: Resources) -> str | Table:
    """Demonstration accounts, channels and videos, unless some of them are there."""
    progress = Progress(console=Console(stderr=True), transient=True)
    shown = asyncio.get_running_loop().call_later(PATIENCE, progress.start)
    try:
        logins = await seed(session, resources[Accounts], progress)
    finally:
        shown.cancel()
        progress.stop()
    return _told(logins)


def _told(logins: list[Login]) -> str | Table:
    if not logins:
        return "The demonstration data, or a part of it, is there already: nothing added."
    table = Table("e-mail", "password", title="Demonstration accounts, shown this once")
    for login in logins:
        table.add_row(login.email, login.password)
    return table
