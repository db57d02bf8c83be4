"""Demonstration data: people, channels and videos to look at on the first day."""

from tube.demo.wiring import battery

__all__ = ["battery"]
