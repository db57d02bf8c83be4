"""Videos as data: what they are called, what they are about, and who may see them."""

from tube.videos.wiring import battery

__all__ = ["battery"]
