"""Busy clients, and faults beside them, until everything has drained."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from chaos import ledger
from chaos.clients import DRAIN, Orders
from chaos.faults import Fault, raging
from chaos.judge import Told
from chaos.ledger import Ledger, Unjudged
from chaos.wire import PATIENCE

MODULES = Path(__file__).parents[1]


def rage(orders: Orders, faults: Sequence[Fault], folder: Path) -> Told:
    """What the clients were told, and what was broken meanwhile. Raises Unjudged when the clients could not work."""
    broken = folder / "faults.jsonl"
    with Ledger(broken) as kept, raging(faults, kept, orders.seed) as calm, _clients(orders) as clients:
        _wait(clients, orders.seconds)
        calm()
        _wait(clients, DRAIN + PATIENCE)
    if clients.returncode != 0:
        raise Unjudged(f"the clients ended with code {clients.returncode}")
    return Told.read(ledger.read(Path(orders.ledger)), ledger.read(broken))


@contextmanager
def _clients(orders: Orders) -> Iterator["subprocess.Popen[str]"]:
    """Away from the server and from this process, so that their clock is only theirs."""
    command = [sys.executable, "-m", "chaos.clients"]
    with subprocess.Popen(command, cwd=MODULES, stdin=subprocess.PIPE, text=True, start_new_session=True) as clients:
        try:
            with cast("IO[str]", clients.stdin) as stdin:
                stdin.write(str(orders))
            yield clients
        finally:
            clients.kill()  # of no consequence for one that has ended


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
