"""The differential suite is itself tested: `make mutations` breaks what it is there for, and these tests keep its page true."""

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
TURBO = ROOT / "src" / "leyden" / "turbo"
BEHAVIOURS = range(1, 42)
ROW = re.compile(r"^\| \d+ \| .+ \| (?P<name>.+) \| `(?P<file>test_\w+\.py)::(?P<test>\w+)` \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def mutate() -> Iterator[ModuleType]:
    """The script behind `make mutations`."""
    spec = importlib.util.spec_from_file_location("mutate_turbo", ROOT / "scripts" / "mutate_turbo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_every_behaviour_is_broken_or_excused(mutate: ModuleType) -> None:
    traps = mutate.load()
    assert [trap.number for trap in traps] == [*BEHAVIOURS]
    assert [trap.number for trap in traps if not trap.mutations and not trap.excuse] == []
    names = [mutation.name for trap in traps for mutation in trap.mutations]
    assert len(names) == len(set(names))
    assert [trap.tests for trap in traps if trap.mutations and not (Path(__file__).parent / trap.tests).is_file()] == []


def test_what_a_mutation_breaks_stands_once_in_the_source_and_is_python_afterwards(mutate: ModuleType) -> None:
    for trap in mutate.load():
        for mutation in trap.mutations:
            text = (TURBO / mutation.file).read_text(encoding="utf-8")
            assert text.count(mutation.old) == 1, mutation.name
            assert ast.dump(ast.parse(mutation.of(text))) != ast.dump(ast.parse(text)), mutation.name


def test_the_page_tells_of_these_mutations_and_none_survived(mutate: ModuleType) -> None:
    page = mutate.PAGE.read_text(encoding="utf-8")
    noticed = {row["name"]: f"{row['file']}::{row['test']}" for row in ROW.finditer(page)}
    assert mutate.SURVIVED not in page
    assert set(noticed) == {mutation.name for trap in mutate.load() for mutation in trap.mutations}
    assert mutate.page(mutate.load(), noticed) == page, "run `make mutations`"


def test_every_test_that_noticed_something_is_there(mutate: ModuleType) -> None:
    for row in ROW.finditer(mutate.PAGE.read_text(encoding="utf-8")):
        text = (Path(__file__).parent / row["file"]).read_text(encoding="utf-8")
        assert f"def {row['test']}(" in text, row["name"]
