import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leyden.core import ConfigurationError


def test_help_lists_the_groups_of_the_batteries_without_importing_their_modules(
    leyden: Callable[..., Any], project: Path
) -> None:
    output = leyden("--help").output

    assert "The commands of the battery 'hello'." in output
    assert f"{project.name}.main" in sys.modules
    assert f"{project.name}.commands" not in sys.modules


@pytest.mark.usefixtures("project")
def test_a_group_without_a_command_shows_its_commands(leyden: Callable[..., Any]) -> None:
    assert "say" in leyden("hi").output


def test_a_group_of_one_command_keeps_the_commands_name(leyden: Callable[..., Any], project: Path) -> None:
    (project / "commands.py").write_text(
        "import typer\ncommands = typer.Typer()\n@commands.command()\ndef only() -> None:\n    typer.echo('done')\n"
    )

    assert leyden("hi", "only").output == "done\n"


@pytest.mark.usefixtures("project")
def test_an_unknown_command_names_the_nearest_one(leyden: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"no command 'inspekt'\. Did you mean 'inspect'\?"):
        raise leyden("inspekt").exception


@pytest.mark.usefixtures("nowhere")
def test_a_batterys_command_without_an_app_says_how_to_make_one(leyden: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match="leyden new shop"):
        raise leyden("db", "upgrade").exception


def test_an_app_that_cannot_be_imported_still_has_help(leyden: Callable[..., Any], project: Path) -> None:
    (project / "main.py").write_text("1 / 0\n")

    result = leyden("--help")

    assert result.exit_code == 0
    assert "inspect" in result.output
    assert "ZeroDivisionError" in result.stderr


@pytest.mark.parametrize("name", ["run", "hi"])
def test_two_groups_of_one_name_are_refused(leyden: Callable[..., Any], project: Path, name: str) -> None:
    (project / "main.py").write_text(
        "from leyden import Battery, create_app\n"
        f"names = ['hi', '{name}']\n"
        "app = create_app([Battery(name=f'b{i}', commands={name: 'x:y'}) for i, name in enumerate(names)])\n"
    )

    with pytest.raises(ConfigurationError, match=f"commands called '{name}', which is taken"):
        raise leyden("hi").exception


@pytest.mark.parametrize("wrong", ["nothing:commands", "json:commands", "json:dumps"])
def test_commands_that_are_not_there_are_a_sentence(leyden: Callable[..., Any], project: Path, wrong: str) -> None:
    source = (project / "main.py").read_text()
    (project / "main.py").write_text(source.replace(f"{project.name}.commands:commands", wrong))

    with pytest.raises(ConfigurationError, match=r"could not be imported|There is no|is no typer\.Typer"):
        raise leyden("hi").exception
