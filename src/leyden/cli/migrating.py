"""Pending migrations, applied before a development server starts."""

import typer

from leyden.cli.dotted import load
from leyden.core.checks import Stage, refuse, run_checks
from leyden.core.project import Project
from leyden.core.resources import Resources, running

_BEHIND = "data.E001"


async def apply_migrations(project: Project) -> None:
    """Bring the database up to the project's history; of processes that start at once one does it, under a lock."""
    if not await _behind(project):
        return
    async with load("leyden.data.commands:migrations_of")(project) as migrations:  # brings Alembic, which takes 0.2 s
        done = await migrations.upgrade()
    if done:
        typer.echo(f"Applied the migrations {', '.join(revision.id for revision in done)}.")


async def _behind(project: Project) -> bool:
    """What the data battery's own checks at start say, with nothing else started, and no file made yet.

    Raises StartError for what no migration mends.
    """
    batteries = [battery for battery in project.batteries if battery.name == "data"]
    checks = [check for battery in batteries for check in battery.checks]
    if not checks:
        return False
    missing = load("leyden.data.database:Missing")  # the app has imported it; the command line has not
    async with running(batteries, overrides={missing: missing.EMPTY}, check=False) as started:
        resources = Resources({kind: started[kind] for kind in started.kinds()}, project.batteries)
        findings = await run_checks(checks, resources, Stage.START)
    refuse(found for found in findings if found.id != _BEHIND)
    return any(found.id == _BEHIND for found in findings)
