"""`leyden inspect --turbo`: which routes are compiled, why the others are not, and the functions that serve them."""

import json
from collections.abc import Sequence

import typer
from fastapi import FastAPI
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from leyden.core import ConfigurationError
from leyden.turbo import RouteReport, report
from leyden.turbo.switch import turbo_of


def show(app: FastAPI, *, as_json: bool) -> None:
    """A line a route, in the order in which they are tried."""
    routes = _routes(app)
    if as_json:
        told = [{"route": route.route, "compiled": route.compiled, "why": route.why or None} for route in routes]
        typer.echo(json.dumps(told, indent=2))
    else:
        _draw(routes, Console())


def show_code(app: FastAPI, path: str) -> None:
    """The functions of the routes with this path. Raises ConfigurationError where there is no such route."""
    found = [route for route in _routes(app) if route.path == path]
    if not found:
        raise ConfigurationError(f"There is no route {path}. Run `leyden inspect --turbo` to see the routes.")
    console = Console()
    for route in found:
        told = f": served by FastAPI, {escape(route.why)}" if route.why else ""
        console.print(f"[bold]{escape(route.route)}[/bold]{told}")
        if route.source:
            console.print(Syntax(route.source, "python", background_color="default"))


def _routes(app: FastAPI) -> Sequence[RouteReport]:
    """Raises ConfigurationError where nothing is compiled."""
    if turbo_of(app) is None:
        raise ConfigurationError(
            "Turbo is off for this app: it was made with turbo=False, or by FastAPI() and not accelerated, "
            "or a line above says why turbo leaves it alone."
        )
    return report(app)


def _draw(routes: Sequence[RouteReport], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("route", "compiled", "or why not"):
        table.add_column(column, overflow="fold", header_style="dim")
    for route in routes:
        table.add_row(escape(route.route), "yes" if route.compiled else "no", escape(route.why))
    console.print(table)
    compiled = sum(route.compiled for route in routes)
    console.print(f"\n{compiled} of {len(routes)} routes are compiled.", highlight=False)
