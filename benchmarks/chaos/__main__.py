"""The fault campaign: what is promised is tried while things break, and judged by identities. See docs/chaos.md.

make chaos CELL=data                                       all of it, about six minutes
make chaos CELL=data ARGS="--seconds 3 --only postgresql"  some of it, shorter
"""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from chaos import full_disk, kills, money, writers
from chaos.ledger import Unjudged
from chaos.plan import CLIENTS, PAUSE, WHOLE, Plan
from load import figures
from load.figures import Figure

VAR = Path(__file__).parents[1] / "var" / "chaos"

Part = Callable[[Plan], Iterator[Figure]]

CELLS: dict[str, dict[str, Part]] = {
    "data": {
        **{kind: partial(money.figures, kind) for kind in money.KINDS},
        "writers": writers.figures,
        "kills": kills.figures,
        "disk": full_disk.figures,
    },
}
"""By name, the parts of each cell in the order in which they run."""


def main(arguments: list[str]) -> int:
    given = _given(arguments)
    parts = {name: CELLS[given.cell][name] for name in given.only or CELLS[given.cell]}
    folder = VAR / f"{given.cell}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    plan = Plan(folder, given.seed, given.seconds, given.clients, given.pause)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    say(f"Seed {plan.seed}, {plan.seconds:g} s, load average {os.getloadavg()[0]:.1f}; ledgers in {plan.folder}.")
    try:
        lines = [line for name, part in parts.items() for line in judged(name, part, plan)]
    except KeyboardInterrupt:
        say("Stopped; nothing was judged.")
        return 130
    if plan.seconds >= WHOLE and not given.only:
        facts = {"seed": plan.seed, "seconds": plan.seconds, "clients": plan.clients, "pause": plan.pause}
        figures.save(f"chaos-{given.cell}", lines, **facts)
    return int(not all(line.good for line in lines))


def judged(name: str, part: Part, plan: Plan) -> list[Figure]:
    """The figures of one part, printed; a part that cannot be judged has one, which is missing."""
    say(f"{name} ...")
    lines = []
    try:
        lines += [replace(figure, name=f"{name}_{figure.name}") for figure in part(plan)]
    except Unjudged as error:
        lines.append(_unjudged(name, str(error)))
    except Exception:  # noqa: BLE001 -- the other parts are judged all the same
        lines.append(_unjudged(name, traceback.format_exc()))
    for line in lines:
        print(line, flush=True)
    return lines


def _unjudged(name: str, reason: str) -> Figure:
    say(f"error: {name} cannot be judged: {reason}")
    return Figure(f"{name}_judged", None, "", None)


def _given(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description="Try what is promised while things break.")
    parser.add_argument("--cell", choices=CELLS, required=True)
    parser.add_argument("--seconds", type=float, default=WHOLE, help="how long clients work on each database")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--pause", type=float, default=PAUSE, help="of a client between transfers, on the average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="some of the cell's parts, with commas")
    given = parser.parse_args(arguments)
    given.only = [word for word in given.only.split(",") if word]
    if strange := set(given.only) - set(CELLS[given.cell]):
        parser.error(f"there is no part {min(strange)}; the parts are {', '.join(CELLS[given.cell])}")
    if not 1 <= given.seconds <= 3600:
        parser.error("--seconds is between 1 and 3600")
    if not 1 <= given.clients <= 1000:
        parser.error("--clients is between 1 and 1000")
    if not 0 <= given.pause <= 60:
        parser.error("--pause is between 0 and 60")
    return given


def say(text: str) -> None:
    """Progress, beside the figures."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
