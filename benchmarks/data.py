"""What a row costs over HTTP: handbook code, Leyden's session, Leyden's prepared statements, and other ORMs, in one run.

    make bench NAME=data                  all of it, about a quarter of an hour
    .venv/bin/python benchmarks/data.py --only sqlite,point,handbook,leyden_session --rounds 1 --seconds 2

Each app answers a point read, a list of 20 and a single-row insert on rows of its own copy of one PostgreSQL and one
SQLite database. uvicorn (uvloop, httptools, one worker, no access log) is pinned to core 1, wrk with 32 connections to
core 0; the processes of the PostgreSQL server are not pinned and share both. The apps take turns, round by round, so
that a busy moment of the machine meets them all; a figure is the median of the rounds. Before and after, every app must
answer the same JSON, and afterwards hold every row whose insert it acknowledged: what fails that has no figures.

Leyden's are on stock FastAPI's request path, but for those called compiled, which have turns of their own, with handbook
code beside them again. One app has the rows in memory: no database could do better than that on the stock path.

Prints `name value unit target pass|short`, saves a whole run in benchmarks/results/data.json, and ends with exit code 1
where one is short of its target. Measure on a quiet machine.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load import apps, arguments, rows, servers, targets, turns, wrk
from load.apps import App, InstallError
from load.rows import Place, Unavailable
from load.servers import WrongError
from load.store import Store
from load.turns import Findings, say

DATABASES = ("postgresql", "sqlite")


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


def main() -> int:
    plan = planned(sys.argv[1:])
    if reason := arguments.why_not():
        print(f"Error: {reason}", file=sys.stderr)
        return 2
    arguments.begin()
    found = Findings()
    try:
        for app in plan.apps:
            if app.peer:
                apps.install(app)
        for database in plan.databases:
            for group in groups(plan.apps):
                measure(database, group, plan, found)
    except (InstallError, Unavailable) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("Stopped; nothing is saved.")
        return 130
    return report(plan, found)


def planned(given: list[str]) -> Plan:
    about = "What a row costs over HTTP, through each of the apps."
    asked = arguments.parsed(given, about, (*DATABASES, *wrk.LOADS, *apps.APPS))
    return Plan(
        databases=asked.among(DATABASES),
        loads=asked.among(wrk.LOADS),
        apps=asked.among(apps.APPS),
        rounds=asked.rounds,
        seconds=asked.seconds,
    )


def groups(chosen: Sequence[App]) -> Iterator[Sequence[App]]:
    """Those that run side by side: all at once would have more connections than the 100 that PostgreSQL takes."""
    compiled = [app for app in chosen if app in apps.COMPILED]
    yield from filter(None, ([app for app in chosen if app not in compiled], compiled))


def measure(database: str, chosen: Sequence[App], plan: Plan, found: Findings) -> None:
    with rows.workplace() as folder, rows.seeded(database, folder) as place, contextlib.ExitStack() as stack:
        found.versions[database] = place.version
        say(f"{database} {place.version}, {rows.ROWS} rows")
        running = list(started(database, chosen, found, place, folder, stack))
        for load in plan.loads:
            take_turns(database, load, plan, running, found)
        for store in running:
            with turns.judged(found, database, store, running):
                store.check()
        stack.close()
        for store in running:
            with turns.judged(found, database, store):
                count(place, store)


def started(
    database: str, chosen: Sequence[App], found: Findings, place: Place, folder: Path, stack: contextlib.ExitStack
) -> Iterator[Store]:
    """Every app on a copy of its own, checked; one that does not work is left out, and said."""
    for app in chosen:
        try:
            url = place.copy(app.name)
            store = Store(stack.enter_context(servers.serving(app, {"BENCH_URL": url}, folder, "/users/1")), url)
            store.check()
        except WrongError as error:
            found.fail(database, app, error)
        else:
            yield store


def take_turns(database: str, load: str, plan: Plan, running: list[Store], found: Findings) -> None:
    def press(store: Store, seconds: int) -> wrk.Sample:
        return store.press(load, seconds)

    turns.take(found, database, load, running, plan.rounds, plan.seconds, press)


def count(place: Place, store: Store) -> None:
    """Every acknowledged row is there; at most those in flight when wrk was cut are there besides."""
    there = place.count(store.url) - rows.ROWS
    if not store.acknowledged <= there <= store.acknowledged + store.cut:
        raise WrongError(f"{store.app.name} acknowledged {store.acknowledged} inserts, and {there} rows are there")


def report(plan: Plan, found: Findings) -> int:
    compared = targets.compared(found.samples, plan.databases, plan.loads)
    lines = [
        *targets.measured(found.samples),
        *(figure for figure in compared if plan.whole or figure.value is not None),  # of --only what there is
    ]
    return turns.report("data", lines, found, facts(plan, found) if plan.whole else None)


def facts(plan: Plan, found: Findings) -> dict[str, Any]:
    return {
        "method": {"rounds": plan.rounds, "seconds": plan.seconds, "connections": wrk.CONNECTIONS, "rows": rows.ROWS},
        "versions": {**apps.versions(apps.PEERS, apps.LIBRARIES), **found.versions, "wrk": wrk.version()},
    }


if __name__ == "__main__":
    sys.exit(main())
