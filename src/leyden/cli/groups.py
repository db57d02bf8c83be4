"""The groups of `leyden`: its own commands and those of the app's batteries, each imported when it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from leyden.cli.coroutines import run_coroutines
from leyden.cli.dotted import load
from leyden.cli.lookup import NoAppError
from leyden.core.errors import ConfigurationError
from leyden.core.project import Project, find_project


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is known by name and not imported yet; `group` says that names follow it."""

    dotted: str
    help: str
    panel: str | None = None
    group: bool = False

    def placeholder(self, name: str) -> TyperCommand:
        return TyperCommand(name=name, help=self.help, rich_help_panel=self.panel, add_help_option=False)

    def load(self) -> Any:
        """The command itself, whose coroutine functions really run."""
        found = _typer(self.dotted)
        if not self.group:
            return run_coroutines(get_command(found))
        group = get_group(found)  # get_command would merge a group of one command into that command
        group.no_args_is_help = not group.invoke_without_command
        return run_coroutines(group)


OWN: Mapping[str, Entry] = {
    "new": Entry(
        "leyden.cli.new:commands", "Make an app, or a feature in it: leyden new shop, leyden new feature videos."
    ),
    "run": Entry("leyden.cli.run:commands", "Serve the app; in development it reloads when a file changes."),
    "check": Entry("leyden.cli.checking:commands", "Look for what is wrong with the app, also before a deployment."),
    "inspect": Entry("leyden.cli.inspection:commands", "Show what each battery adds to the app."),
    "shell": Entry("leyden.cli.shell:commands", "A Python prompt with the app's resources running and `await`."),
}


class Root(TyperGroup):
    """Lists the groups of the app's batteries without importing the modules that hold them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the base class's shape
        return [*OWN, *self._listed()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 -- the base class's shape
        entry = OWN.get(cmd_name) or self._listed().get(cmd_name)
        return entry.placeholder(cmd_name) if entry else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0]
        if entry := OWN.get(name):
            return name, entry.load(), args[1:]
        ctx.obj = project = find_project(Path.cwd())
        groups = battery_groups(project) if project else {}
        if entry := groups.get(name):
            return name, entry.load(), args[1:]
        if project is None and not name.startswith("-"):
            raise NoAppError(
                f"There is no command '{name}' here.{_near(name, OWN)} {NoAppError.message().format(folder=Path.cwd())}"
            )
        raise ConfigurationError(f"There is no command '{name}'.{_near(name, {**OWN, **groups})} See leyden --help.")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        try:
            self._groups()
        except ConfigurationError as error:
            typer.echo(f"The groups of the app's batteries are missing here: {error}", err=True)

    def _groups(self) -> Mapping[str, Entry]:
        project = find_project(Path.cwd())
        return battery_groups(project) if project else {}

    def _listed(self) -> Mapping[str, Entry]:
        """The groups as far as they are known: help and completion work for an app that does not."""
        try:
            return self._groups()
        except ConfigurationError:
            return {}


def battery_groups(project: Project) -> dict[str, Entry]:
    """The command groups of the app's batteries. Raises ConfigurationError when two want one name."""
    groups: dict[str, Entry] = {}
    for battery in project.batteries:
        for name, dotted in battery.commands.items():
            if name in OWN or name in groups:
                raise ConfigurationError(
                    f"The battery '{battery.name}' has commands called '{name}', which is taken. Give them another name."
                )
            about = f"The commands of the battery '{battery.name}'."
            groups[name] = Entry(dotted, about, panel="Batteries of this app", group=True)
    return groups


def _typer(dotted: str) -> typer.Typer:
    found = load(dotted)
    if isinstance(found, typer.Typer):
        return found
    raise ConfigurationError(
        f"{dotted} is no typer.Typer. Write a battery's commands like shop.notes.commands:commands."
    )


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
