from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.usefixtures("project")
def test_an_async_command_of_a_battery_really_runs(leyden: Callable[..., Any]) -> None:
    result = leyden("hi", "say", "Ada", "--times", "2")

    assert result.output.startswith("hello Ada hello Ada app_")
    assert result.exit_code == 0


def test_an_async_callback_of_the_group_runs_before_the_command(leyden: Callable[..., Any], project: Path) -> None:
    leyden("hi", "say", "Ada")

    assert (project.parent / "before").exists()


@pytest.mark.usefixtures("project")
def test_an_async_command_in_a_deeper_group_decides_the_exit_code(leyden: Callable[..., Any]) -> None:
    assert leyden("hi", "deeper", "down").exit_code == 7
