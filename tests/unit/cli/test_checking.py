from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.usefixtures("project")
def test_a_finding_of_two_stages_is_told_once_with_its_hint(leyden: Callable[..., Any]) -> None:
    result = leyden("check")

    assert result.exit_code == 0
    assert result.output.count("hello.W001  Something is odd.") == 1
    assert "Mend it." in result.output
    assert "0 errors, 1 warning." in result.output


def test_an_error_ends_with_1(leyden: Callable[..., Any], project: Path) -> None:
    (project / "checks.py").write_text((project / "checks.py").read_text().replace("W001", "E001"))

    assert leyden("check").exit_code == 1


def test_deploy_checks_speak_only_when_asked_and_for_production(leyden: Callable[..., Any], project: Path) -> None:
    text = (project / "checks.py").read_text().replace("(Stage.START, Stage.READY)", "(Stage.DEPLOY,)")
    (project / "checks.py").write_text(
        text.replace('"Something is odd."', "__import__('os').environ['LEYDEN_IMPLIED_ENVIRONMENT']")
    )

    assert leyden("check").output == "Nothing is wrong.\n"
    assert "hello.W001  production" in leyden("check", "--deploy").output
