"""What a row costs over HTTP: handbook code, Leyden's session, Leyden's prepared statements, and other ORMs, in one run.

    make bench NAME=data                  all of it, about ten minutes
    .venv/bin/python benchmarks/data.py --only sqlite,point,handbook,leyden_session --rounds 1 --seconds 2

Each app answers a point read, a list of 20 and a single-row insert on rows of its own copy of one PostgreSQL and one
SQLite database. uvicorn (uvloop, httptools, one worker, no access log) is pinned to core 1, wrk with 32 connections to
core 0; the processes of the PostgreSQL server are not pinned and share both. The apps take turns, round by round, so
that a busy moment of the machine meets them all; a figure is the median of the rounds. Before and after, every app must
answer the same JSON, and afterwards hold every row whose insert it acknowledged: what fails that has no figures.

Prints `name value unit target pass|short`, saves a whole run in benchmarks/results/data.json, and ends with exit code 1
where one is short of its target. Measure on a quiet machine.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from load import apps, figures, rows, servers, targets, wrk
from load.apps import App, InstallError
from load.rows import Place, Unavailable
from load.servers import Server, WrongError

DATABASES = ("postgresql", "sqlite")
WARM_UP = 1
BUSY = 0.7


@dataclass(frozen=True)
class Plan:
    databases: Sequence[str]
    loads: Sequence[str]
    apps: Sequence[App]
    rounds: int
    seconds: int

    @property
    def whole(self) -> bool:
        known = len(DATABASES), len(wrk.LOADS), len(apps.APPS)
        return (len(self.databases), len(self.loads), len(self.apps)) == known


@dataclass
class Findings:
    samples: defaultdict[tuple[str, str, str], list[wrk.Sample]] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def fail(self, database: str, app: App, error: WrongError) -> None:
        """An app that was wrong once on a database has no figures there."""
        self.errors.append(f"{database}: {error}")
        say(f"  error: {error}")
        for key in [key for key in self.samples if (key[0], key[2]) == (database, app.name)]:
            del self.samples[key]


def main() -> int:
    plan = planned(sys.argv[1:])
    if reason := why_not():
        print(f"Error: {reason}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was made is removed
    if (load := os.getloadavg()[0]) > BUSY:
        say(f"This machine is busy (load average {load:.1f}): the figures are not worth keeping.")
    found = Findings()
    try:
        for app in plan.apps:
            if app.peer:
                apps.install(app)
        for database in plan.databases:
            measure(database, plan, found)
    except (InstallError, Unavailable) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("Stopped; nothing is saved.")
        return 130
    return report(plan, found)


def planned(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(description="What a row costs over HTTP, through each of the apps.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each app has its turn")
    parser.add_argument("--seconds", type=int, default=5, help="how long a turn lasts")
    words = {*DATABASES, *wrk.LOADS, *(app.name for app in apps.APPS)}
    parser.add_argument("--only", default="", help=f"some of {', '.join(sorted(words))}, with commas")
    given = parser.parse_args(arguments)
    only = {word for word in given.only.split(",") if word}
    if strange := only - words:
        parser.error(f"there is no {min(strange)}; --only knows {', '.join(sorted(words))}")
    if given.rounds < 1 or given.seconds < 1:
        parser.error("--rounds and --seconds start at 1")
    return Plan(
        databases=[name for name in DATABASES if name in only] or DATABASES,
        loads=[name for name in wrk.LOADS if name in only] or wrk.LOADS,
        apps=[app for app in apps.APPS if app.name in only] or apps.APPS,
        rounds=given.rounds,
        seconds=given.seconds,
    )


def why_not() -> str:
    """What this machine lacks, in a sentence."""
    if shutil.which("wrk") is None:
        return "wrk is not installed, and it makes the load. Run: apt install wrk."
    if shutil.which("taskset") is None:
        return "taskset is not installed, and it keeps server and load apart. Run: apt install util-linux."
    if not {int(servers.CORE), int(wrk.CORE)} <= os.sched_getaffinity(0):
        return "This needs the cores 0 and 1, one for the server and one for the load."
    return ""


def measure(database: str, plan: Plan, found: Findings) -> None:
    with rows.workplace() as folder, rows.seeded(database, folder) as place, contextlib.ExitStack() as stack:
        found.versions[database] = place.version
        say(f"{database} {place.version}, {rows.ROWS} rows")
        running = list(started(database, plan, found, place, folder, stack))
        for load in plan.loads:
            take_turns(database, load, plan, running, found)
        for server in running:
            with judged(database, server, found, running):
                server.check()
        stack.close()
        for server in running:
            with judged(database, server, found):
                count(place, server)


def started(
    database: str, plan: Plan, found: Findings, place: Place, folder: Path, stack: contextlib.ExitStack
) -> Iterator[Server]:
    """Every app on a copy of its own, checked; one that does not work is left out, and said."""
    for app in plan.apps:
        try:
            server = stack.enter_context(servers.serving(app, place.copy(app.name), folder))
            server.check()
        except WrongError as error:
            found.fail(database, app, error)
        else:
            yield server


def take_turns(database: str, load: str, plan: Plan, running: list[Server], found: Findings) -> None:
    for turn in range(plan.rounds + 1):
        for server in list(running):
            with judged(database, server, found, running):
                sample = wrk.run(server, load, plan.seconds if turn else WARM_UP)
                if turn:
                    found.samples[database, load, server.app.name].append(sample)
                    say(f"  {load:<7} {turn}/{plan.rounds} {server.app.name:<16} {line(sample)}")


@contextlib.contextmanager
def judged(database: str, server: Server, found: Findings, running: list[Server] | None = None) -> Iterator[None]:
    """What goes wrong inside costs the app its figures, and its place among those that run."""
    try:
        yield
    except WrongError as error:
        found.fail(database, server.app, error)
        if running is not None:
            running.remove(server)


def count(place: Place, server: Server) -> None:
    """Every acknowledged row is there; at most those in flight when wrk was cut are there besides."""
    there = place.count(server.url) - rows.ROWS
    if not server.acknowledged <= there <= server.acknowledged + server.cut:
        raise WrongError(f"{server.app.name} acknowledged {server.acknowledged} inserts, and {there} rows are there")


def report(plan: Plan, found: Findings) -> int:
    compared = targets.compared(found.samples, plan.databases, plan.loads)
    lines = [
        *targets.measured(found.samples),
        *(figure for figure in compared if plan.whole or figure.value is not None),  # of --only what there is
    ]
    for figure in lines:
        print(figure)
    for error in found.errors:
        print(f"error: {error}")
    if plan.whole:
        say(f"Saved in {figures.save('data', lines, **facts(plan, found)).relative_to(apps.HERE.parent)}")
    return int(bool(found.errors) or not all(figure.good for figure in lines))


def facts(plan: Plan, found: Findings) -> dict[str, Any]:
    told = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    samples = {" ".join(key): [asdict(sample) for sample in taken] for key, taken in found.samples.items()}
    return {
        "method": {"rounds": plan.rounds, "seconds": plan.seconds, "connections": wrk.CONNECTIONS, "rows": rows.ROWS},
        "versions": {**apps.versions(), **found.versions, "wrk": told.partition(" [")[0]},
        "errors": found.errors,
        "samples": samples,
    }


def line(sample: wrk.Sample) -> str:
    return f"{sample.per_second:>8.0f} req/s  p50 {sample.p50:>6.1f} ms  p99 {sample.p99:>6.1f} ms"


def say(text: str) -> None:
    """Progress, beside the figures."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
