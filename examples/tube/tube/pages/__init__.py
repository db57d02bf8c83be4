"""Pages for people: the newest videos, one video, one channel."""

from tube.pages.wiring import battery

__all__ = ["battery"]
