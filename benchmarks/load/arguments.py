"""What the command line of a benchmark over HTTP says, and whether this machine can do it."""

import argparse
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from load import servers, wrk
from load.apps import App
from load.turns import say

BUSY = 0.7

T = TypeVar("T", str, App)


@dataclass(frozen=True)
class Arguments:
    """`only` has what was named; what nobody narrows is taken whole."""

    rounds: int
    seconds: int
    only: frozenset[str] = frozenset()

    def among(self, known: Sequence[T]) -> Sequence[T]:
        return [one for one in known if name_of(one) in self.only] or known


def name_of(one: str | App) -> str:
    return one if isinstance(one, str) else one.name


def parsed(
    arguments: list[str], about: str, known: Sequence[str | App], *, rounds: int = 3, seconds: int = 5
) -> Arguments:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each app has its turn")
    parser.add_argument("--seconds", type=int, default=seconds, help="how long a turn lasts")
    words = sorted({name_of(one) for one in known})
    parser.add_argument("--only", default="", help=f"some of {', '.join(words)}, with commas")
    given = parser.parse_args(arguments)
    only = frozenset(word for word in given.only.split(",") if word)
    if strange := only - set(words):
        parser.error(f"there is no {min(strange)}; --only knows {', '.join(words)}")
    if given.rounds < 1 or given.seconds < 1:
        parser.error("--rounds and --seconds start at 1")
    return Arguments(given.rounds, given.seconds, only)


def why_not() -> str:
    """What this machine lacks, in a sentence."""
    if shutil.which("wrk") is None:
        return "wrk is not installed, and it makes the load. Run: apt install wrk."
    if shutil.which("taskset") is None:
        return "taskset is not installed, and it keeps server and load apart. Run: apt install util-linux."
    if not {int(servers.CORE), int(wrk.CORE)} <= os.sched_getaffinity(0):
        return "This needs the cores 0 and 1, one for the server and one for the load."
    return ""


def begin() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was made is removed
    if (load := os.getloadavg()[0]) > BUSY:
        say(f"This machine is busy (load average {load:.1f}): the figures are not worth keeping.")
