"""Fixtures every test may ask for; a test that needs a service runs where the service answers."""

import os
from collections.abc import Callable, Iterator
from math import erfc, sqrt
from pathlib import Path

import pytest
from hypothesis import settings

from leyden.testing.services import DATABASES, Unavailable, ask, fresh_database, skip_or_fail

pytest_plugins = ["pytester"]

settings.register_profile("leyden", deadline=None)  # a busy machine is no failure
settings.load_profile("leyden")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of the shell it runs in."""
    for name in [name for name in os.environ if name.startswith("APP_") or name == "LEYDEN_IMPLIED_ENVIRONMENT"]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def services(request: pytest.FixtureRequest) -> None:
    """What a test marked `service("redis")` needs must answer."""
    for marker in request.node.iter_markers("service"):
        for name in marker.args:
            try:
                ask(name)
            except Unavailable as reason:
                skip_or_fail(str(reason))


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new, empty database on SQLite, PostgreSQL and MariaDB in turn, dropped afterwards."""
    try:
        with fresh_database(request.param, tmp_path) as url:
            yield url
    except Unavailable as reason:
        skip_or_fail(str(reason))


@pytest.fixture
def mann_whitney() -> Callable[[list[float], list[float]], float]:
    """The two-sided probability that samples so different come from one distribution (normal approximation)."""

    def probability(first: list[float], second: list[float]) -> float:
        ranks = {value: rank for rank, value in enumerate(sorted(first + second), 1)}
        m, n = len(first), len(second)
        u = sum(ranks[value] for value in first) - m * (m + 1) / 2
        z = (u - m * n / 2) / sqrt(m * n * (m + n + 1) / 12)
        return erfc(abs(z) / sqrt(2))

    return probability
