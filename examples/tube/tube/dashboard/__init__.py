"""What the owner of a channel sees at a glance."""

from tube.dashboard.wiring import battery

__all__ = ["battery"]
