"""The kernel every battery stands on; it imports nothing else of leyden."""

from leyden.core.battery import Battery, check_order
from leyden.core.checks import Check, Finding, Stage, run_checks
from leyden.core.clock import Clock, SystemClock
from leyden.core.concurrency import Limit, Outcome, gather_limited, to_process, to_thread
from leyden.core.errors import (
    BatteryOrderError,
    ConfigurationError,
    FieldError,
    LeydenError,
    NotFoundError,
    OverloadedError,
    ResourceMissingError,
    StartError,
)
from leyden.core.events import Events
from leyden.core.identity import Identity, identify, identity_of
from leyden.core.resources import ClockDep, EventsDep, Installed, Resources, SupervisorDep, installed, resource, running
from leyden.core.settings import Section, Settings
from leyden.core.supervisor import Supervisor, TaskFailed

__all__ = [
    "Battery",
    "BatteryOrderError",
    "Check",
    "Clock",
    "ClockDep",
    "ConfigurationError",
    "Events",
    "EventsDep",
    "FieldError",
    "Finding",
    "Identity",
    "Installed",
    "LeydenError",
    "Limit",
    "NotFoundError",
    "Outcome",
    "OverloadedError",
    "ResourceMissingError",
    "Resources",
    "Section",
    "Settings",
    "Stage",
    "StartError",
    "Supervisor",
    "SupervisorDep",
    "SystemClock",
    "TaskFailed",
    "check_order",
    "gather_limited",
    "identify",
    "identity_of",
    "installed",
    "resource",
    "run_checks",
    "running",
    "to_process",
    "to_thread",
]
