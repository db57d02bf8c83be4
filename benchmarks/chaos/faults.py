"""What breaks while clients are busy, when it broke, and when it was whole again."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from chaos.ledger import Ledger

from leyden.testing import LiveServer
from leyden.testing.clusters import PostgreSQLCluster

CALM = (0.3, 2.5)
"""Seconds that all workers live before one of them is ended."""
RESTARTS = ("immediate", "fast")


@dataclass(frozen=True)
class Scene:
    """What a fault needs: chance from the seed, the ledger of faults, and word of the end."""

    chance: random.Random
    ledger: Ledger
    over: threading.Event


class Fault(Protocol):
    def __call__(self, scene: Scene) -> None: ...


def killed_workers(server: LiveServer) -> Fault:
    """SIGKILL for one worker after another; the parent replaces each."""

    def kill(scene: Scene) -> None:
        calm = CALM[0]
        while not scene.over.wait(calm):
            victim = scene.chance.choice(server.workers())
            at = monotonic()
            server.kill_worker(victim)
            scene.ledger.keep("kill", at=at, pid=victim)
            server.wait_for_workers()
            scene.ledger.keep("replaced", at=monotonic(), pid=victim)
            calm = scene.chance.uniform(*CALM)

    return kill


def restarted_server(cluster: PostgreSQLCluster, every: float) -> Fault:
    """A restart of the database about every so many seconds, in turn as after a crash and as by an operator."""

    def restart(scene: Scene) -> None:
        turn = scene.chance.randrange(len(RESTARTS))
        wait = every * scene.chance.uniform(0.1, 0.3)
        while not scene.over.wait(wait):
            mode = RESTARTS[turn % len(RESTARTS)]
            began = monotonic()
            ready = cluster.restart(mode)
            scene.ledger.keep("outage", began=began, ended=ready, how=f"restart, {mode}")
            turn += 1
            wait = every * scene.chance.uniform(0.7, 1.0)

    return restart


@contextmanager
def raging(faults: Sequence[Fault], ledger: Ledger, seed: int) -> Iterator[Callable[[], None]]:
    """Let faults happen side by side; calling what this yields ends them. What one of them raises is raised on leaving."""
    over = threading.Event()
    with ThreadPoolExecutor(len(faults) or 1) as threads:
        scenes = [Scene(random.Random(f"{seed} {number}"), ledger, over) for number in range(len(faults))]  # noqa: S311 -- to be repeated
        running = [threads.submit(fault, scene) for fault, scene in zip(faults, scenes, strict=True)]

        def calm() -> None:
            over.set()
            for future in running:
                future.result()

        try:
            yield calm
        finally:
            over.set()
    calm()
