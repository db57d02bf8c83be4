"""How often, and how far apart, work is done again where others were changing the same data."""

import asyncio
import random

ATTEMPTS = 5
_BACKOFF = 0.01
"""Seconds, doubled before every further attempt; how much of it is waited is chance."""


async def stand_back(attempt: int) -> None:
    """Wait after this attempt, the first of which is 1: those who met must not meet again."""
    await asyncio.sleep(random.uniform(0, _BACKOFF * 2**attempt))  # noqa: S311 -- apart, not secret
