"""The batteries FastAPI leaves out, in one shape."""

from leyden.app import create_app, install
from leyden.core.battery import Battery
from leyden.core.checks import Check, Finding
from leyden.core.concurrency import gather_limited, to_process, to_thread
from leyden.core.errors import LeydenError
from leyden.core.resources import Resources, resource, running
from leyden.core.settings import Section, Settings

__all__ = [
    "Battery",
    "Check",
    "Finding",
    "LeydenError",
    "Resources",
    "Section",
    "Settings",
    "create_app",
    "gather_limited",
    "install",
    "resource",
    "running",
    "to_process",
    "to_thread",
]
