"""Seeds: what a battery puts into a database once, such as the first administrator or data to look at."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pkgutil import resolve_name

from sqlalchemy import Column, MetaData, String, Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.core import Battery, Clock, ConfigurationError, Resources
from leyden.data.database import Database
from leyden.data.types import Timestamp

Function = Callable[[AsyncSession, Resources], Awaitable[object]]
"""Adds in the unit of work it is given. What it returns, a text or something else that rich prints, is shown afterwards."""

LOCK = "seeds"
DONE = Table(
    "leyden_seeds",
    MetaData(),
    Column("name", String(100), primary_key=True),
    Column("done_at", Timestamp(), nullable=False),
)
"""Which seeds the database has; like Alembic's table it is made when it is needed, and is no model of the app's."""


@dataclass(frozen=True, slots=True)
class Seed:
    """One of a battery's seeds; the function behind the dotted name is imported when it is run."""

    name: str
    dotted: str

    async def sow(self, resources: Resources, *, again: bool = False) -> "Sown":
        """Run it, unless this database has it. Of processes that do this at once one does it."""
        database, clock = resources[Database], resources[Clock]  # type: ignore[type-abstract]  # a protocol is a key here
        function: Function = resolve_name(self.dotted)
        async with database.lock(LOCK):
            async with database.session() as session:  # of its own: MariaDB commits whenever it makes a table
                await (await session.connection()).run_sync(DONE.create, checkfirst=True)
            async with database.session() as session:
                before = await session.scalar(select(DONE.c.done_at).where(DONE.c.name == self.name))
                if before is not None and not again:
                    return Sown(self.name, before=before)
                shown = await function(session, resources)
                await session.execute(delete(DONE).where(DONE.c.name == self.name))
                await session.execute(insert(DONE).values(name=self.name, done_at=clock.now()))
        return Sown(self.name, shown=shown)


@dataclass(frozen=True, slots=True)
class Sown:
    """What came of a seed: when the database got it `before`, or what to show of it now."""

    name: str
    before: datetime | None = None
    shown: object = None


def seeds_of(batteries: Sequence[Battery], names: Sequence[str] = ()) -> list[Seed]:
    """The seeds of the batteries in their order, or those with these names. Raises ConfigurationError for others."""
    found: dict[str, Seed] = {}
    for battery in batteries:
        for name, dotted in battery.seeds.items():
            if name in found:
                raise ConfigurationError(f"Two batteries have a seed called '{name}'. Give one of them another name.")
            found[name] = Seed(name, dotted)
    if strange := [name for name in names if name not in found]:
        known = f"There are: {', '.join(found)}." if found else "No battery of this app has seeds."
        raise ConfigurationError(f"There is no seed called '{strange[0]}'. {known}")
    return [seed for name, seed in found.items() if not names or name in names]
