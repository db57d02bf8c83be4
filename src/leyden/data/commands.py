"""`leyden db`: see, make, apply and take back migrations, and put the first data in."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from leyden.core import ConfigurationError, running
from leyden.core.project import Project
from leyden.data.database import Database, Missing
from leyden.data.history import Revision, forked
from leyden.data.migrations import Advice, Migrations
from leyden.data.seeds import Seed, seeds_of

commands = typer.Typer(help="Migrations of the database.", no_args_is_help=True, add_completion=False)
console = Console(highlight=False, soft_wrap=True)

_UNSURE = (
    "Taking migrations back drops tables with all that is in them. "
    "There is no terminal to ask at: outside development add --yes to `leyden db downgrade`."
)
_NO_SEEDS = (
    "Seeds add data, and some of it is only for looking at. "
    "There is no terminal to ask at: outside development add --yes to `leyden db seed`."
)


@asynccontextmanager
async def migrations_of(project: Project) -> AsyncIterator[Migrations]:
    """The app's migrations, with its database connected and nothing else started; a SQLite file is made by what needs one."""
    batteries = [battery for battery in project.batteries if battery.provides is Database]
    if not batteries:
        raise ConfigurationError("This app has no database. Add data.battery(settings.data) to the list in app.py.")
    async with running(batteries, overrides={Missing: Missing.EMPTY}, check=False) as resources:
        database = resources[Database]
        yield Migrations(database, project.batteries, folder=project.root / database.settings.migrations)


@commands.command()
async def make(
    ctx: typer.Context,
    message: Annotated[
        str | None, typer.Option("-m", "--message", help="What it does; the file is named after it.")
    ] = None,
    *,
    empty: Annotated[bool, typer.Option("--empty", help="Write one to fill in by hand.")] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Write indexes and constraints so that everybody can go on writing.")
    ] = False,
) -> None:
    """Write the migrations that are missing: the batteries', then one for the changes of your models."""
    async with migrations_of(ctx.obj) as migrations:
        written = await migrations.make(message, empty=empty, online=online)
        found = await migrations.advice() if written else []
    if not written:
        console.print("Nothing to make: the models and the database agree.")
        return
    for path in written:
        console.print(f"[green]wrote[/] {escape(str(path))}")
    _tell(found)
    console.print("Read what was written, then run [bold]leyden db upgrade[/].")


@commands.command()
async def upgrade(
    ctx: typer.Context,
    revision: Annotated[str, typer.Argument(help="Up to this revision; +1 is the next one.")] = "head",
) -> None:
    """Apply the migrations that the database lacks."""
    async with migrations_of(ctx.obj) as migrations:
        _tell(await migrations.advice())
        done = await migrations.upgrade(revision)
    for applied in done:
        console.print(f"[green]applied[/] {escape(str(applied))}")
    if not done:
        console.print("Nothing to apply: the database is up to date.")


def _tell(found: Sequence[Advice]) -> None:
    """Advice and no refusal: whether a release is running, and how large a table is, is not known here."""
    for advice in found:
        console.print(f"[yellow]careful[/] {escape(str(advice))}")


@commands.command(context_settings={"ignore_unknown_options": True})  # -1 is a revision here, not an option
def downgrade(
    ctx: typer.Context,
    revision: Annotated[str, typer.Argument(help="Back to this revision; base is before the first.")] = "-1",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take the last migration back, or all that came after a revision. Outside development it asks first."""
    if not (yes or ctx.obj.development):
        _ask(ctx.obj, revision)
    # Only now a coroutine: inside one, the first Ctrl-C at a prompt would be swallowed.
    done = asyncio.run(_take_back(ctx.obj, revision))
    for undone in done:
        console.print(f"[yellow]took back[/] {escape(str(undone))}")
    if not done:
        console.print("Nothing to take back.")


def _ask(project: Project, revision: str) -> None:
    """Ends with 2 where nobody can be asked, and with 1 where the answer is no."""
    if not sys.stdin.isatty():
        typer.echo(f"Error: {_UNSURE}", err=True)
        raise typer.Exit(2)
    address, undone = asyncio.run(_undoing(project, revision))
    if undone:
        console.print(f"This takes back, in {escape(address)}:")
        for found in undone:
            console.print(f"    {escape(str(found))}")
        typer.confirm("Tables are dropped with all that is in them. Go on?", abort=True)


async def _undoing(project: Project, revision: str) -> tuple[str, list[Revision]]:
    async with migrations_of(project) as migrations:
        return migrations.address, await migrations.undoing(revision)


async def _take_back(project: Project, revision: str) -> list[Revision]:
    async with migrations_of(project) as migrations:
        return await migrations.downgrade(revision)


@commands.command()
def seed(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Which ones; all unless told.", show_default=False)] = None,
    *,
    again: Annotated[bool, typer.Option("--again", help="Also those that the database has.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put the batteries' seeds into the database, each once. Outside development it asks first."""
    project: Project = ctx.obj
    found = seeds_of(project.batteries, names or ())
    if not found:
        console.print("No battery of this app has seeds.")
        return
    if not (yes or project.development):
        _ask_to_sow(project, found)
    asyncio.run(_sow(project, found, again=again))


def _ask_to_sow(project: Project, seeds: Sequence[Seed]) -> None:
    """As `_ask` does."""
    if not sys.stdin.isatty():
        typer.echo(f"Error: {_NO_SEEDS}", err=True)
        raise typer.Exit(2)
    console.print(
        f"This adds {escape(', '.join(seed.name for seed in seeds))} to the database of {project.entrypoint}."
    )
    typer.confirm("Go on?", abort=True)


async def _sow(project: Project, seeds: Sequence[Seed], *, again: bool) -> None:
    async with project.running() as resources:
        for seed in seeds:
            sown = await seed.sow(resources, again=again)
            if sown.before is not None:
                since = f"{sown.before:%Y-%m-%d %H:%M} UTC"
                console.print(f"{escape(seed.name)} was done already on {since}; --again does it again.")
                continue
            console.print(f"[green]sowed[/] {escape(seed.name)}")
            if sown.shown is not None:
                console.print(sown.shown, markup=False)  # a password may have brackets in it


@commands.command()
async def history(ctx: typer.Context) -> None:
    """List the migrations, oldest first, and which the database has."""
    async with migrations_of(ctx.obj) as migrations:
        line, pending = migrations.history.line(), await migrations.pending()
    if not line:
        console.print("There are no migrations yet. Run [bold]leyden db make[/].")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("applied", "revision", "what it does"):
        table.add_column(heading, overflow="fold")
    for revision in line:
        table.add_row("no" if revision in pending else "yes", escape(revision.id), escape(revision.title))
    console.print(table)


@commands.command()
async def heads(ctx: typer.Context) -> None:
    """Show the ends of the history; ends with 1 when there is more than one."""
    async with migrations_of(ctx.obj) as migrations:
        found, revisions = migrations.history.heads, migrations.history.revisions
    for name in found:
        console.print(escape(str(revisions[name])))
    if not found:
        console.print("There are no migrations yet. Run [bold]leyden db make[/].")
    if len(found) > 1:
        console.print(escape(forked(found)))
        raise typer.Exit(1)


@commands.command()
async def current(ctx: typer.Context) -> None:
    """Show where the database is."""
    async with migrations_of(ctx.obj) as migrations:
        names, revisions = await migrations.current(), migrations.history.revisions
    for name in names:
        console.print(escape(str(revisions[name])) if name in revisions else f"{escape(name)} (not in this history)")
    if not names:
        console.print("No migration was ever applied to this database.")


@commands.command()
async def check(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Tell what the migrations after this one do to the release that knows it."),
    ] = None,
) -> None:
    """End with 1 unless history, database and models agree; for continuous integration."""
    async with migrations_of(ctx.obj) as migrations:
        problems = await migrations.problems()
        found = [] if len(migrations.history.heads) > 1 else await migrations.advice(since)
    for problem in problems:
        console.print(escape(problem))
    _tell(found)
    if problems:
        raise typer.Exit(1)
    console.print("The models, the migrations and the database agree.")
