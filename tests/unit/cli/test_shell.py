from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.usefixtures("project")
def test_the_prompt_awaits_shows_errors_and_knows_the_app(leyden: Callable[..., Any]) -> None:
    typed = "app.title\nawait asyncio.sleep(0, 'awaited')\nclock = resources.kinds()[0].__name__\nclock\n1 / 0\n6 * 7\n"

    result = leyden("shell", input=typed)

    assert result.exit_code == 0
    for shown in ("'Shop'", "'awaited'", "'Clock'", "42"):
        assert shown in result.stdout
    assert "ZeroDivisionError" in result.stderr


@pytest.mark.usefixtures("project")
def test_exit_leaves_without_running_the_rest(leyden: Callable[..., Any]) -> None:
    result = leyden("shell", input="exit()\n6 * 7\n")

    assert result.exit_code == 0
    assert "42" not in result.stdout
