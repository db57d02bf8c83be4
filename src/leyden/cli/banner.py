"""What `leyden run` says when the app is ready."""

import logging

import typer
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from leyden.cli.plan import Plan
from leyden.core.project import Project

_log = logging.getLogger("leyden.run")


def announce(project: Project, plan: Plan) -> None:
    """Say where to look: to a person in development, as one log entry elsewhere."""
    if plan.again:
        _log.info("Ready again.")
    elif plan.development:
        typer.echo(f"\n{project.app.title} is ready at {plan.url}\n{_details(project, plan)}")
    else:
        _log.info("%s is ready at %s, environment %s%s.", project.app.title, plan.url, plan.environment, _why(plan))


def _details(project: Project, plan: Plan) -> str:
    lines = [f"    environment   {plan.environment}{_why(plan)}"]
    if docs := _docs(project.app):
        lines.insert(0, f"    docs          {plan.url}{docs}")
    lines.append(f"    stop          Ctrl+C{'; a changed file reloads' if plan.reload else ''}")
    return "\n".join(lines) + "\n"


def _why(plan: Plan) -> str:
    if not plan.implied:
        return ""
    because = "this machine only, one worker" if plan.development else "several workers or open to other machines"
    return f" (implied: {because}; APP_ENVIRONMENT changes it)"


def _docs(app: FastAPI) -> str | None:
    if app.docs_url:
        return app.docs_url
    return next((str(route.path) for route in iter_route_contexts(app.routes) if route.name == "docs"), None)
