"""`leyden inspect`: the whole app on one screen."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from rich.console import Console
from rich.table import Table

from leyden.cli import compiled
from leyden.cli.lookup import project_here
from leyden.core import Clock, Events, Supervisor
from leyden.core.battery import Battery
from leyden.core.project import Project

commands = typer.Typer(add_completion=False)

_BUILT_IN = (Clock, Events, Supervisor)  # what every app has, before its batteries start


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    methods: list[str]
    name: str
    battery: str | None


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to show of an app: values that JSON knows."""

    entrypoint: str
    batteries: list[dict[str, Any]]
    resources: list[str]
    middleware: list[str]
    routes: list[Route]


@commands.command()
def inspect(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    turbo: Annotated[bool, typer.Option("--turbo", help="Show which routes are compiled, and why not.")] = False,
    code: Annotated[
        str | None, typer.Option("--code", metavar="PATH", help="Print the compiled function of this path.")
    ] = None,
) -> None:
    """Show the batteries and what each adds, the resources, the middleware and the routes."""
    if code is not None and (turbo or as_json):
        raise typer.BadParameter("it prints functions, and nothing beside them.", param_hint="--code")
    project = project_here()
    if code is not None:
        compiled.show_code(project.app, code)
    elif turbo:
        compiled.show(project.app, as_json=as_json)
    else:
        _show(picture_of(project), as_json=as_json)


def _show(picture: Picture, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(picture), indent=2))
    else:
        _draw(picture, Console())


def picture_of(project: Project) -> Picture:
    batteries = project.batteries
    return Picture(
        entrypoint=project.entrypoint,
        batteries=[_battery(battery) for battery in batteries],
        resources=[_dotted(kind) for kind in (*_BUILT_IN, *(battery.provides for battery in batteries)) if kind],
        middleware=[_dotted(middleware.cls) for middleware in project.app.user_middleware],
        routes=_routes(project.app, batteries),
    )


def _battery(battery: Battery) -> dict[str, Any]:
    return {
        "name": battery.name,
        "requires": list(battery.requires),
        "provides": _dotted(battery.provides) if battery.provides else None,
        "routes": sum(1 for router in battery.routers for _ in iter_route_contexts(router.routes)),
        "middleware": [_dotted(middleware.cls) for middleware in (*battery.middleware, *battery.innermost)],
        "exception_handlers": [kind if isinstance(kind, int) else _dotted(kind) for kind in battery.exception_handlers],
        "checks": len(battery.checks),
        "commands": list(battery.commands),
        "seeds": list(battery.seeds),
        "models": [_dotted(model) for model in battery.models],
        "migrations": battery.migrations,
    }


def _routes(app: FastAPI, batteries: tuple[Battery, ...]) -> list[Route]:
    owners = {
        id(context.original_route): battery.name  # a mount has no endpoint
        for battery in batteries
        for router in battery.routers
        for context in iter_route_contexts(router.routes)
    }
    return [
        Route(
            path=str(context.path),
            methods=sorted(context.methods or ()) or [_kind(context)],
            name=context.name or "",
            battery=owners.get(id(context.original_route)),
        )
        for context in iter_route_contexts(app.routes)
    ]


def _kind(context: Any) -> str:
    return "WEBSOCKET" if "WebSocket" in type(context.original_route).__name__ else "ANY"


def _dotted(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '?')}.{getattr(kind, '__qualname__', kind)}"


def _draw(picture: Picture, console: Console) -> None:
    console.print(f"{picture.entrypoint}\n")
    for title, table in (
        ("Batteries, in the order of starting", _batteries_table(picture)),
        ("Middleware, outermost first", _middleware_table(picture)),
        ("Routes", _routes_table(picture)),
    ):
        console.print(f"[bold]{title}[/bold]", table, "", sep="\n")
    names = ", ".join(name.rpartition(".")[2] for name in picture.resources)
    console.print(f"[bold]Resources[/bold]  {names}", soft_wrap=True)


def _batteries_table(picture: Picture) -> Table:
    table = _table("name", "needs", "provides", "adds")
    for battery in picture.batteries:
        provided = (battery["provides"] or "").rpartition(".")[2]  # the class alone: a dotted name would be folded
        table.add_row(battery["name"], ", ".join(battery["requires"]), provided, _additions(battery))
    return table


def _additions(battery: dict[str, Any]) -> str:
    kinds = ("routes", "middleware", "exception_handlers", "checks", "models")
    sizes = {what: battery[what] if isinstance(battery[what], int) else len(battery[what]) for what in kinds}
    parts = [
        f"{size} {what.replace('_', ' ').removesuffix('s' if size == 1 else '')}"
        for what, size in sizes.items()
        if size
    ]
    parts += [f"leyden {name}" for name in battery["commands"]]
    parts += [f"the seed {name}" for name in battery["seeds"]]
    return ", ".join(parts + (["migrations"] if battery["migrations"] else []))


def _middleware_table(picture: Picture) -> Table:
    table = _table("", "class")
    for place, name in enumerate(picture.middleware, start=1):
        table.add_row(str(place), name)
    return table


def _routes_table(picture: Picture) -> Table:
    table = _table("methods", "path", "name", "battery")
    for route in picture.routes:
        table.add_row(" ".join(route.methods), route.path, route.name, route.battery or "")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", header_style="dim")
    return table
