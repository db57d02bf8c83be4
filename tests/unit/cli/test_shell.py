from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.usefixtures("project")
def test_input_is_run_with_await_and_shows_what_it_gives_and_no_prompts(leyden: Callable[..., Any]) -> None:
    typed = "app.title\nawait asyncio.sleep(0, 'awaited')\nresources[Clock].__class__.__name__\n6 * 7\n1 / 0\n"

    result = leyden("shell", input=typed)

    assert result.stdout == "'Shop'\n'awaited'\n'SystemClock'\n42\n"
    assert "ZeroDivisionError" in result.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("wrong", ["1 / 0", "1 +", "await nothing()", "exit(3)", "if True:\n    1 / 0"])
def test_input_that_nobody_types_ends_at_its_first_error_with_1(leyden: Callable[..., Any], wrong: str) -> None:
    result = leyden("shell", input=f"'before'\n{wrong}\n\n'after'\n")

    assert result.exit_code == 1
    assert result.stdout == "'before'\n"


@pytest.mark.usefixtures("project")
def test_a_block_at_the_end_of_the_input_runs(leyden: Callable[..., Any]) -> None:
    assert leyden("shell", input="for i in range(2):\n    print(i)").stdout == "0\n1\n"


@pytest.mark.usefixtures("project")
def test_exit_leaves_without_running_the_rest(leyden: Callable[..., Any]) -> None:
    result = leyden("shell", input="exit()\n6 * 7\n")

    assert result.exit_code == 0
    assert "42" not in result.stdout


@pytest.mark.usefixtures("project")
def test_input_that_ends_in_the_middle_is_told(leyden: Callable[..., Any]) -> None:
    result = leyden("shell", input="(1,\n")

    assert result.exit_code == 1
    assert "The input ends in the middle of a statement." in result.stderr
