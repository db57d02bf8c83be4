"""Channels: where one person publishes."""

from tube.channels.wiring import battery

__all__ = ["battery"]
