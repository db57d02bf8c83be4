from pathlib import Path

import pytest

from leyden.core.environment import declared_environment
from leyden.core.project import Project


def test_nothing_declared_is_nothing(tmp_path: Path) -> None:
    assert declared_environment(tmp_path) is None


def test_the_environment_is_stronger_than_dotenv_than_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text('environment = "test"\n')
    assert declared_environment(tmp_path) == "test"
    (tmp_path / ".env").write_text("APP_ENVIRONMENT=development\n")
    assert declared_environment(tmp_path) == "development"
    monkeypatch.setenv("APP_ENVIRONMENT", "production")
    assert declared_environment(tmp_path) == "production"


def test_a_broken_config_is_for_the_settings_to_judge(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("environment = \n")

    assert declared_environment(tmp_path) is None


def test_a_project_is_in_development_when_it_or_else_a_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "shop.app:app")
    assert not project.development
    monkeypatch.setenv("LEYDEN_IMPLIED_ENVIRONMENT", "development")
    assert project.development
    (tmp_path / "config.toml").write_text('environment = "production"\n')
    assert not project.development
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    assert project.development
