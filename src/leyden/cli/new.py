"""`leyden new`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from leyden.cli.lookup import project_here
from leyden.core.errors import ConfigurationError
from leyden.scaffold import Feature, ScaffoldError, write_feature, write_project

commands = typer.Typer(add_completion=False)


class Kind(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"


class _New(TyperCommand):
    """Its usage is one of two, which no list of arguments says."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the base class's shape
        return ["[OPTIONS]", "NAME | feature NAME"]


@commands.command(cls=_New, no_args_is_help=True)
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME | feature NAME", help="The app's name, or `feature` and that of a feature.")
    ],
    feature: Annotated[str | None, typer.Argument(metavar="", hidden=True)] = None,
    *,
    database: Annotated[Kind, typer.Option(help="Where the app's data is.")] = Kind.SQLITE,
) -> None:
    """Make an app in a new folder, or a feature in the app around this folder.

    leyden new shop

    leyden new feature videos
    """
    try:
        if feature is not None and name == "feature":
            _tell_feature(_feature(feature))
        elif feature is not None:
            raise ConfigurationError(
                f"One name is enough: leyden new {name}. A feature is made with: leyden new feature {feature}."
            )
        else:
            _tell_project(write_project(name, database.value, Path.cwd()), database)
    except ScaffoldError as error:
        raise ConfigurationError(str(error)) from error


def _feature(name: str) -> Feature:
    project = project_here()
    return write_feature(name, project.root, project.entrypoint)


def _tell_project(folder: Path, database: Kind) -> None:
    typer.echo(f"{folder.name} is there. Run it:\n\n    cd {folder.name} && leyden run\n")
    if database is not Kind.SQLITE:
        package = folder.name.replace("-", "_")
        typer.echo(
            f"It expects a {database.value} database '{package}' on this machine; APP_DATA__URL, in the environment or in .env, "
            "says where another one is."
        )


def _tell_feature(feature: Feature) -> None:
    for path in feature.files:
        typer.echo(f"wrote {path}")
    if feature.wired:
        typer.echo(f"{feature.name} is in the list of batteries. `leyden run` applies its migration in development;")
        typer.echo("elsewhere: leyden db upgrade")
    else:
        typer.echo(
            f"Import {feature.name} in app.py, add {feature.name}.battery() to the list of batteries, then: leyden db upgrade"
        )
