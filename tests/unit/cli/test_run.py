import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from leyden.cli.plan import Plan
from leyden.cli.reload import watched
from leyden.cli.run import _plan
from leyden.core.project import Project


def plan(root: Path, **given: Any) -> Plan:
    options = {"host": "127.0.0.1", "port": 8000, "workers": 1, "reload": None, "access_log": True, **given}
    return _plan(Project(root, "shop.app:app"), **options)


def test_one_worker_on_this_machine_is_development_and_reloads(tmp_path: Path) -> None:
    found = plan(tmp_path)

    assert (found.environment, found.implied, found.reload) == ("development", True, True)
    assert os.environ["LEYDEN_IMPLIED_ENVIRONMENT"] == "development"


@pytest.mark.parametrize("given", [{"workers": 2}, {"host": "0.0.0.0"}, {"host": "::"}, {"host": "shop.example"}])  # noqa: S104 -- never listened on
def test_what_others_can_reach_is_production_and_does_not_reload(tmp_path: Path, given: dict[str, Any]) -> None:
    found = plan(tmp_path, **given)

    assert (found.environment, found.implied, found.reload) == ("production", True, False)
    assert os.environ["LEYDEN_IMPLIED_ENVIRONMENT"] == "production"


def test_a_declared_environment_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "production")
    assert plan(tmp_path).reload is False
    monkeypatch.setenv("APP_ENVIRONMENT", "development")

    found = plan(tmp_path, workers=2)

    assert (found.environment, found.implied, found.reload) == ("development", False, False)


def test_reloading_and_workers_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="one process"):
        plan(tmp_path, workers=2, reload=True)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 -- shown, not listened on
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_the_url_is_one_a_browser_on_this_machine_takes(host: str, url: str) -> None:
    assert Plan("development", host, 8000).url == url


def test_code_and_settings_are_watched_and_what_the_app_writes_is_not(tmp_path: Path) -> None:
    for folder in ("shop", "var", "migrations", "tests", ".venv", "node_modules"):
        (tmp_path / folder).mkdir()
    for file in ("config.toml", ".env", "README.md"):
        (tmp_path / file).touch()

    assert [path.name for path in watched(tmp_path)] == [".env", "config.toml", "shop"]


@pytest.mark.usefixtures("nowhere")
def test_without_an_app_it_ends_with_a_sentence(leyden: Callable[..., Any]) -> None:
    result = leyden("run")

    assert result.exit_code == 3
    assert "leyden new shop" in result.stderr
