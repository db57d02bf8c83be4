"""The test kit: what an app's own tests need, and nothing a running app imports."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leyden.testing.clock import FrozenClock
    from leyden.testing.in_process import client
    from leyden.testing.live_server import LiveServer
    from leyden.testing.rollback import rolled_back
    from leyden.testing.statements import queries

__all__ = ["FrozenClock", "LiveServer", "client", "queries", "rolled_back"]

# Found at first use: pytest loads this package wherever Leyden is installed, with or without the `testing` extra.
_HOMES = {
    "FrozenClock": "leyden.testing.clock",
    "LiveServer": "leyden.testing.live_server",
    "client": "leyden.testing.in_process",
    "queries": "leyden.testing.statements",
    "rolled_back": "leyden.testing.rollback",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
