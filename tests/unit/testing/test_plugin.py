"""The pytest plugin disturbs nobody."""

import subprocess
import sys

import pytest

from leyden.core import Clock
from leyden.testing import FrozenClock


def test_the_frozen_clock_is_a_fixture_of_the_plugin(frozen_clock: FrozenClock) -> None:
    clock: Clock = frozen_clock
    assert clock.now() == clock.now()


def test_loading_the_plugin_imports_no_client_and_no_database() -> None:
    script = (
        "import sys, leyden.testing.plugin; print(*(name for name in ('httpx2', 'sqlalchemy') if name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == ""


def test_a_name_the_kit_does_not_have_is_an_attribute_error() -> None:
    import leyden.testing

    with pytest.raises(AttributeError, match="'toaster'"):
        leyden.testing.toaster  # noqa: B018 -- the access is the test


def test_every_name_of_the_kit_can_be_had() -> None:
    import leyden.testing

    for name in leyden.testing.__all__:
        assert getattr(leyden.testing, name).__name__ == name
