"""The fault campaign is a program beside Leyden, not a part of it."""

from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def campaign(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its modules can be imported."""
    monkeypatch.syspath_prepend(CAMPAIGN)
    return CAMPAIGN
