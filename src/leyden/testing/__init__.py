"""The test kit: what an app's own tests need, and nothing a running app imports."""

from leyden.testing.clock import FrozenClock
from leyden.testing.in_process import client

__all__ = ["FrozenClock", "client"]
