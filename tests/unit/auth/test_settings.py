"""The options of the section `auth`."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from leyden.auth import AuthSettings
from leyden.core import ConfigurationError, Settings

STRONG = "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"


class AppSettings(Settings):
    auth: AuthSettings = AuthSettings()


def test_the_defaults_are_short_access_and_long_refresh() -> None:
    settings = AuthSettings()
    assert settings.access_ttl <= timedelta(minutes=15)
    assert settings.refresh_ttl == timedelta(days=30)


@pytest.mark.parametrize(
    "options",
    [
        {"prefix": "api"},
        {"prefix": "/api/"},
        {"access_ttl": 0},
        {"access_ttl": timedelta(days=2)},
        {"access_ttl": 600, "refresh_ttl": 60},
        {"hash_memory": 16, "hash_lanes": 4},
        {"hash_concurrency": 0},
        {"leave_out": ["nothing"]},
        {"secret": "short"},
        {"secretfile": "x"},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AuthSettings(**options)


def test_a_weak_secret_in_the_environment_ends_in_a_sentence_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_AUTH__SECRET", "hunter2hunter2")
    with pytest.raises(ConfigurationError, match=r"setting auth\.secret is wrong: .*at least 32 characters") as caught:
        AppSettings()
    assert "hunter2" not in str(caught.value)


def test_the_secret_never_prints() -> None:
    assert STRONG not in repr(AuthSettings(secret=STRONG, secret_file=Path("x")))


def test_times_in_the_environment_are_iso_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_AUTH__ACCESS_TTL", "PT5M")
    monkeypatch.setenv("APP_AUTH__REFRESH_TTL", "P1D")
    settings = AppSettings().auth
    assert (settings.access_ttl, settings.refresh_ttl) == (timedelta(minutes=5), timedelta(days=1))
