"""The pytest plugin of the test kit: fixtures, and nothing that runs unless a test asks for it."""

import pytest

from leyden.testing.clock import FrozenClock


@pytest.fixture
def frozen_clock() -> FrozenClock:
    """Time that stands still; put it into the app with `client(app, overrides={Clock: frozen_clock})`."""
    return FrozenClock()
