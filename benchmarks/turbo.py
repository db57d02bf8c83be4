"""What acceleration does for a FastAPI app over HTTP: stock and accelerated in one run, and other frameworks beside them.

    make bench NAME=turbo                   all of it, about twenty minutes
    .venv/bin/python benchmarks/turbo.py --only small,chain,fastapi,accelerated --rounds 1 --seconds 1
    .venv/bin/python benchmarks/turbo.py --only routes

Every app answers the same JSON: before and after, each row of the table is compared whole, and what a typed row must
refuse is refused. uvicorn (uvloop, httptools, one worker, no access log), or the server that an app has of its own in one
process, is pinned to core 1, wrk with 32 connections to core 0. The apps take turns, round by round; a figure is the
median of the rounds. The steady load is made by load/steady.py, on core 0 too and with as many connections: it sends at
70 % of what the same app did in the same run, evenly spaced, and counts from the moment a request is due. The cost by the
number of routes is measured in process, on core 1.

Prints `name value unit target pass|short`, saves a whole run in benchmarks/results/turbo.json and draws
docs/images/turbo.svg from it, and ends with exit code 1 where one is short of its target. Measure on a quiet machine.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load import apps, arguments, rows, servers, steady, turns, wrk
from load.apps import App, InstallError
from load.figures import Figure
from load.medians import median_of
from load.servers import Server, WrongError
from load.turns import Findings, say
from speed import cases, contestants, judge, plot
from speed.cases import Row
from speed.judge import FULL, STEADY

ROUTES = "routes"
PARTS = (FULL, STEADY, ROUTES)
NUMBERS = (1, 100, 1_000, 5_000)
COMPILED = 1_000
SHARE = 0.7
READY = "/"


@dataclass(frozen=True)
class Plan:
    parts: Sequence[str]
    rows: Sequence[Row]
    apps: Sequence[App]
    rounds: int
    seconds: int
    whole: bool


def main() -> int:
    plan = planned(sys.argv[1:])
    if reason := arguments.why_not():
        print(f"Error: {reason}", file=sys.stderr)
        return 2
    arguments.begin()
    found = Findings()
    try:
        if plan.parts != [ROUTES]:
            measure(plan, found)
        counted = list(by_routes(found)) if ROUTES in plan.parts else []
    except KeyboardInterrupt:
        say("Stopped; nothing is saved.")
        return 130
    return report(plan, found, counted)


def planned(given: list[str]) -> Plan:
    about = "What acceleration does for an app over HTTP."
    names = [row.name for row in cases.ROWS]
    known: Sequence[str | App] = [*PARTS, *names, *contestants.APPS]
    asked = arguments.parsed(given, about, known, rounds=5, seconds=3)
    parts = [part for part in PARTS if part in asked.only]
    return Plan(
        parts=parts or ([FULL] if asked.only else PARTS),
        rows=[row for row in cases.ROWS if row.name in asked.among(names)],
        apps=asked.among(contestants.APPS),
        rounds=asked.rounds,
        seconds=asked.seconds,
        whole=not asked.only,
    )


def measure(plan: Plan, found: Findings) -> None:
    with rows.workplace() as folder, contextlib.ExitStack() as stack:
        running = list(started(plan, found, folder, stack))
        for row in plan.rows:
            ready = [server for server in running if server.app in contestants.in_row(row)]
            say(f"{row.name}: {row.about}")
            measure_row(row, plan, ready, found, folder)


def started(plan: Plan, found: Findings, folder: Path, stack: contextlib.ExitStack) -> Iterator[Server]:
    """Every app that can be installed and started; one that cannot is left out, and said."""
    users = folder / "users.json"
    users.write_text(json.dumps(cases.USERS), encoding="utf-8")
    environment = {"BENCH_USERS": str(users), "PYTHONPATH": str(apps.HERE)}  # what the apps share is in peers/shapes
    wanted = [app for app in plan.apps if any(app in contestants.in_row(row) for row in plan.rows)]
    for app in wanted:
        try:
            if app.peer:
                apps.install(app)
            yield stack.enter_context(servers.serving(app, environment, folder, READY))
        except (InstallError, WrongError) as error:
            found.fail("start", app, error)


def measure_row(row: Row, plan: Plan, running: list[Server], found: Findings, folder: Path) -> None:
    requests = folder / f"{row.name}.requests"
    requests.write_bytes(row.wire)
    check(row, running, found)

    def press(server: Server, seconds: int) -> wrk.Sample:
        return wrk.run(server, seconds, "replay", str(requests))

    turns.take(found, row.name, FULL, running, plan.rounds, plan.seconds, press)
    if STEADY in plan.parts and row in cases.TABLE:
        take_steadily(row, plan, running, found, requests)
    check(row, running, found)


def check(row: Row, running: list[Server], found: Findings) -> None:
    for server in list(running):
        with turns.judged(found, row.name, server, running):
            row.check(server, validates=server.app is not contestants.RAW)


def take_steadily(row: Row, plan: Plan, running: list[Server], found: Findings, requests: Path) -> None:
    """Stock and accelerated, each at its share of what it has just done."""
    rates = {
        server.app.name: median_of(found.samples[row.name, FULL, server.app.name], "per_second") for server in running
    }

    def press(server: Server, seconds: int) -> wrk.Sample:
        return steady.run(server, SHARE * (rates[server.app.name] or 0), seconds, requests)

    both = [server for server in running if server.app in contestants.pair(row)]
    turns.take(found, row.name, STEADY, both, plan.rounds, plan.seconds, press)


def by_routes(found: Findings) -> Iterator[Figure]:
    """Each in a process of its own, so that no app stands in the memory of another."""
    say(f"{', '.join(map(str, NUMBERS))} routes")
    try:
        yield from judge.by_routes({number: many("cost", number) for number in NUMBERS})
        compiled, stock = many("compile", COMPILED, 1), many("compile", COMPILED, 0)
    except WrongError as error:
        found.errors.append(f"{ROUTES}: {error}")
        return
    grown = {contestants.FASTAPI.name: stock["grown"], contestants.ACCELERATED.name: compiled["grown"]}
    yield from judge.compiling(COMPILED, compiled["seconds"], grown)


def many(*asked: object) -> dict[str, float]:
    command = ["taskset", "-c", servers.CORE, sys.executable, "-m", "speed.many", *map(str, asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=apps.HERE, env=servers.ENVIRONMENT)
    if done.returncode:
        raise WrongError(f"{' '.join(map(str, asked))} ended with {done.returncode}: {done.stderr[-2000:]}")
    told: dict[str, float] = json.loads(done.stdout)
    return told


def report(plan: Plan, found: Findings, counted: Sequence[Figure]) -> int:
    compared = judge.compared(found.samples, plan.rows) if plan.parts != [ROUTES] else ()
    lines = [
        *judge.measured(found.samples),
        *(figure for figure in compared if plan.whole or figure.value is not None),  # of --only what there is
        *counted,
    ]
    code = turns.report("turbo", lines, found, facts(plan) if plan.whole else None)
    if plan.whole:
        say(f"Drawn in {plot.draw().relative_to(apps.HERE.parent)}")
    return code


def facts(plan: Plan) -> dict[str, Any]:
    return {
        "method": {
            "rounds": plan.rounds,
            "seconds": plan.seconds,
            "connections": wrk.CONNECTIONS,
            "steady": f"{SHARE:.0%} of the app's own median, evenly spaced, from the moment a request is due",
        },
        "versions": {**apps.versions(contestants.PEERS, contestants.LIBRARIES), "wrk": wrk.version()},
    }


if __name__ == "__main__":
    sys.exit(main())
