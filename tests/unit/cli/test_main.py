import importlib.metadata
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leyden.cli.main import main
from leyden.core import ConfigurationError


def test_the_version_is_the_packages(leyden: Callable[..., Any]) -> None:
    assert leyden("--version").output == f"leyden {importlib.metadata.version('leyden')}\n"


@pytest.mark.usefixtures("nowhere")
def test_without_an_app_it_says_what_to_type(leyden: Callable[..., Any]) -> None:
    result = leyden()

    assert result.exit_code == 0
    assert "leyden new shop" in result.output


@pytest.mark.usefixtures("project")
def test_with_an_app_it_shows_its_commands(leyden: Callable[..., Any]) -> None:
    assert "inspect" in leyden().output


def test_an_error_is_one_sentence_and_exit_code_1(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "main.py").write_text("from nothing import at_all\n")
    monkeypatch.setattr(sys, "argv", ["leyden", "inspect"])

    with pytest.raises(SystemExit) as ended:
        main()

    error = capsys.readouterr().err
    assert ended.value.code == 1
    assert error.count("\n") == 1
    assert "No module named 'nothing'" in error
    assert f"({project.name}/main.py:1)" in error


def test_debug_shows_where_an_error_comes_from(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "main.py").write_text("1 / 0\n")
    monkeypatch.setattr(sys, "argv", ["leyden", "--debug", "inspect"])
    monkeypatch.setenv("LEYDEN_DEBUG", "")

    with pytest.raises(ConfigurationError) as raised:
        main()

    assert isinstance(raised.value.__cause__, ZeroDivisionError)


@pytest.mark.usefixtures("project")
def test_commands_imply_development(leyden: Callable[..., Any]) -> None:
    leyden("inspect")

    assert os.environ["LEYDEN_IMPLIED_ENVIRONMENT"] == "development"
