"""`leyden run`."""

import os
from dataclasses import replace
from typing import Annotated, NoReturn

import typer

from leyden.cli.address import LAST_PORT, listen
from leyden.cli.environment import imply, loopback
from leyden.cli.lookup import project_here
from leyden.cli.plan import Plan
from leyden.cli.reload import inherited_socket, serve_and_reload
from leyden.cli.server import START_FAILED, ServerConfig, Signals, serve, serve_with_workers
from leyden.core.environment import declared_environment
from leyden.core.errors import LeydenError
from leyden.core.project import Project

commands = typer.Typer(add_completion=False)

_CAN_RELOAD = os.name == "posix"  # elsewhere a process cannot become another one


@commands.command()
def run(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=LAST_PORT, help="The port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="How many processes serve.")] = 1,
    reload: Annotated[
        bool | None,
        typer.Option("--reload/--no-reload", help="Default: in development with one worker.", show_default=False),
    ] = None,
    access_log: Annotated[bool, typer.Option(help="Log a line for each request.")] = True,
) -> None:
    """Serve the app. Nothing is started when the port is taken; SIGTERM and Ctrl+C stop it gracefully.

    Where no environment is set, one worker on this machine implies development, anything else production.
    """
    try:
        project = project_here()
        plan = _plan(project, host=host, port=port, workers=workers, reload=reload, access_log=access_log)
        _serve(project, plan)
    except LeydenError as error:
        if os.environ.get("LEYDEN_DEBUG"):
            raise
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(START_FAILED) from None


def _plan(project: Project, *, host: str, port: int, workers: int, reload: bool | None, access_log: bool) -> Plan:
    declared = declared_environment(project.root)
    implied = "production" if workers > 1 or not loopback(host) else "development"
    imply(implied)
    environment = declared or implied
    wanted = environment == "development" and workers == 1 if reload is None else reload
    if wanted and workers > 1:
        raise typer.BadParameter("--reload serves from one process. Leave out --workers or --reload.")
    return Plan(
        environment=environment,
        implied=declared is None,
        host=host,
        port=port,
        workers=workers,
        reload=wanted and _CAN_RELOAD,
        access_log=access_log,
    )


def _serve(project: Project, plan: Plan) -> NoReturn:
    inherited = inherited_socket()
    taken = inherited or listen(plan.host, plan.port)
    plan = replace(plan, port=taken.getsockname()[1], again=inherited is not None)
    if plan.workers > 1:
        raise typer.Exit(serve_with_workers(ServerConfig(project, plan), taken))
    with Signals() as signals:
        config = ServerConfig(project, plan)
        if plan.reload:
            raise typer.Exit(serve_and_reload(config, taken, signals, first=inherited is None))
        raise typer.Exit(serve(config, taken, signals))
