from pathlib import Path

import pytest

from leyden.cli.environment import declared_environment, loopback


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


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 -- judged, not listened on
        ("::", False),
        ("shop.example", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, *, local: bool) -> None:
    assert loopback(host) is local
