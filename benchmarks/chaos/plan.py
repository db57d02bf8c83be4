"""What a run is to do: which parts, how long, from which seed, and where its ledgers go."""

from dataclasses import dataclass
from pathlib import Path

WHOLE = 60.0
"""Seconds of a whole run; parts that are counted and not timed shrink alike."""

CLIENTS = 64
PAUSE = 0.5
"""Seconds between a client's transfers, on the average."""


@dataclass(frozen=True)
class Plan:
    folder: Path
    seed: int = 1
    seconds: float = WHOLE
    clients: int = CLIENTS
    pause: float = PAUSE

    def room(self, part: str) -> Path:
        """A new folder for the ledgers of one part."""
        room = self.folder / part
        room.mkdir(parents=True)
        return room

    def share(self, whole: int, least: int = 1) -> int:
        """How many of so many a shorter run does."""
        return max(least, round(whole * min(1.0, self.seconds / WHOLE)))
