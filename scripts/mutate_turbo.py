"""Break on purpose what turbo keeps of FastAPI's behaviour, one thing at a time, and see that a test notices each.

With numbers or words of mutations' names only those are run; without, docs/turbo-mutations.md is written. Ends with 1
where a mutation survives.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "leyden"
TESTS = ROOT / "tests" / "unit" / "turbo"
MUTATIONS = TESTS / "mutations.toml"
PAGE = ROOT / "docs" / "turbo-mutations.md"

DEADLINE = 300.0
SURVIVED = "SURVIVED"
NOT_TESTS = {"test_mutations.py"}
"""They look at this, not at turbo."""
LAST = ("test_generated_apps.py",)
"""Whatever is drawn notices most things: what a test says in words comes first."""
FAILED = re.compile(r"^\S*?(test_\w+\.py::\w+).* FAILED", re.MULTILINE)
"""As pytest tells while it runs: what a mutation leaves behind, a coroutine say, may keep it from summing up."""

HEAD = """\
# What the tests of turbo notice

Compiled routes answer as FastAPI does in all of these ways. Each was broken on purpose, one at a time, and the
differential suite was run: the last column names the first test that failed. What exactly was changed is in
`tests/unit/turbo/mutations.toml` (`{mark}`); `make mutations` does it again and writes this page.

| # | FastAPI's behaviour | broken on purpose | noticed by |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Mutation:
    """`old` stands once in the file; `new` in its place is wrong."""

    name: str
    file: str
    old: str
    new: str

    def of(self, text: str) -> str:
        if text.count(self.old) != 1:
            sys.exit(
                f"Error: the old text of {self.name!r} must stand once in {self.file}, not {text.count(self.old)} times."
            )
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Trap:
    """A behaviour, with the file of tests that is asked first; `excuse` says why nothing can break it."""

    number: int
    behaviour: str
    tests: str = ""
    mutations: tuple[Mutation, ...] = ()
    excuse: str = ""


def main(wanted: list[str]) -> None:
    traps = load()
    chosen = [(trap, each) for trap in traps for each in trap.mutations if is_wanted(wanted, trap, each)]
    if not chosen:
        sys.exit(
            f"Error: no mutation is called {' or '.join(wanted)}. Their names are in {MUTATIONS.relative_to(ROOT)}."
        )
    if failed := run_tests(None, ""):
        sys.exit(f"Error: {failed} fails as it is. Mend that first.")
    noticed = {}
    for number, (trap, mutation) in enumerate(chosen, 1):
        began = time.monotonic()
        noticed[mutation.name] = run_tests(mutation, trap.tests) or SURVIVED
        told = f"{mutation.name}: {noticed[mutation.name]}"
        print(f"{number}/{len(chosen)} {trap.number}. {told} ({time.monotonic() - began:.0f} s)", flush=True)
    if not wanted:
        PAGE.write_text(page(traps, noticed), encoding="utf-8")
    survivors = [name for name, test in noticed.items() if test == SURVIVED]
    print(f"{len(noticed) - len(survivors)} of {len(noticed)} were noticed")
    sys.exit(1 if survivors else 0)


def load() -> list[Trap]:
    return [
        Trap(**{**trap, "mutations": tuple([Mutation(**each) for each in trap.get("mutations", ())])})
        for trap in tomllib.loads(MUTATIONS.read_text(encoding="utf-8"))["trap"]
    ]


def is_wanted(wanted: list[str], trap: Trap, mutation: Mutation) -> bool:
    """By the number of its trap, or by a part of its name."""
    return not wanted or any(
        word == str(trap.number) or (not word.isdigit() and word in mutation.name) for word in wanted
    )


def run_tests(mutation: Mutation | None, first: str) -> str:
    """The first test that fails with a copy of Leyden in which this is broken; nothing if none does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(SOURCE, folder / "leyden", ignore=shutil.ignore_patterns("__pycache__"))
        if mutation is not None:
            broken = folder / "leyden" / "turbo" / mutation.file
            broken.write_text(mutation.of(broken.read_text(encoding="utf-8")), encoding="utf-8")
        return first_failure(folder, list(in_order(first)))


def in_order(first: str) -> Iterator[Path]:
    """All files of tests: the one that most likely notices before the others."""
    names = {path.name for path in TESTS.glob("test_*.py")} - NOT_TESTS
    yield from (TESTS / name for name in sorted(names, key=lambda name: (name != first, name in LAST, name)))


def first_failure(folder: Path, tests: Iterable[Path]) -> str:
    """Only a test that fails counts: what cannot be imported, or hangs, would be noticed by any suite."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-v",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed=0",
        *map(str, tests),
    ]
    found = {"PYTHONPATH": str(folder), "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **found},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"The tests were not done after {DEADLINE:.0f} s:", flush=True)
        return ""
    if done.returncode == 0:
        return ""
    if failed := FAILED.search(done.stdout):
        return failed[1]
    print(
        f"{done.stdout}{done.stderr}\nThe tests ended with {done.returncode}, and none of them had failed:", flush=True
    )
    return ""


def page(traps: list[Trap], noticed: Mapping[str, str]) -> str:
    """The table, one row a mutation."""
    rows = [row for trap in traps for row in rows_of(trap, noticed)]
    return HEAD.format(mark=mark(traps)) + "\n".join(rows) + "\n"


def rows_of(trap: Trap, noticed: Mapping[str, str]) -> Iterator[str]:
    for mutation in trap.mutations:
        test = noticed[mutation.name]
        yield row(trap, mutation.name, test if test == SURVIVED else f"`{test}`")
    if trap.excuse:
        yield row(trap, f"nothing: {trap.excuse}", "")


def row(trap: Trap, broken: str, test: str) -> str:
    return f"| {trap.number} | {trap.behaviour} | {broken} | {test} |"


def mark(traps: list[Trap]) -> str:
    """Of all that is changed, so that a page which is older than the mutations can be told."""
    return hashlib.sha256(repr(traps).encode()).hexdigest()[:8]


if __name__ == "__main__":
    main(sys.argv[1:])
