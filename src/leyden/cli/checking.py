"""`leyden check`: what the app's batteries find wrong."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from leyden.cli.environment import imply
from leyden.cli.lookup import project_here
from leyden.core.checks import Check, Finding, Stage, run_checks
from leyden.core.project import Project

commands = typer.Typer(add_completion=False)


@commands.command()
def check(
    *,
    deploy: Annotated[bool, typer.Option("--deploy", help="Also look for what must not be deployed.")] = False,
) -> None:
    """Run the checks of every battery; ends with 1 when one of them found an error."""
    if deploy:
        imply("production")
    stages = (Stage.START, Stage.READY, Stage.DEPLOY) if deploy else (Stage.START, Stage.READY)
    findings = asyncio.run(_findings(project_here(), stages))
    for finding in findings:
        typer.echo(_line(finding))
    serious = sum(finding.serious for finding in findings)
    typer.echo(_summary(serious, len(findings) - serious))
    if serious:
        raise typer.Exit(1)


async def _findings(project: Project, stages: Sequence[Stage]) -> list[Finding]:
    checks = [check for battery in project.batteries for check in battery.checks]
    async with project.running(check=False) as resources:
        found = [await run_checks(_speaking_first_at(checks, stages, at), resources, at) for at in stages]
    return [finding for some in found for finding in some]


def _speaking_first_at(checks: Sequence[Check], stages: Sequence[Stage], at: Stage) -> list[Check]:
    """The checks that have not spoken at an earlier one of the stages: no finding is told twice."""
    return [check for check in checks if next((stage for stage in stages if stage in check.stages), None) is at]


def _line(finding: Finding) -> str:
    kind = "error  " if finding.serious else "warning"
    return f"{kind} {finding.id}  {finding.message}" + (f"\n        {finding.hint}" if finding.hint else "")


def _summary(errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return "Nothing is wrong."
    return f"{_count(errors, 'error')}, {_count(warnings, 'warning')}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
