"""The example is laid out as `leyden new tube` lays out an app, and stays so."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from leyden.data.library import LibraryMigration
from leyden.scaffold import write_project
from leyden.scaffold.projects import SAMPLE

EXAMPLE = Path(__file__).parents[3] / "examples" / "tube"

GROWN = {"tests/conftest.py", "tube/__init__.py", "tube/app.py"}
"""Files that the example has added to."""
OWN = {"README.md", "pyproject.toml"}
"""Files that say what the example is; of its pyproject.toml the tables that do not are compared."""


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A new app of the example's name."""
    return write_project("tube", "sqlite", tmp_path)


def shared(fresh: Path) -> set[str]:
    """The files of an app without those of its first feature, in whose place are features of its own."""
    files = {path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()}
    return {name for name in files if SAMPLE not in re.split(r"[/_.]", name)}


def lines(path: Path) -> list[str]:
    """Without those that speak of the first feature."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if SAMPLE not in line]


def project(folder: Path) -> dict[str, Any]:
    """What does not say what the app is, nor which rules its repository has."""
    read = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    del read["project"]["description"], read["project"]["dependencies"], read["tool"]["ruff"]
    return read


def test_the_example_has_every_file_of_a_new_app(fresh: Path) -> None:
    assert shared(fresh) >= GROWN | OWN | {".gitignore", "config.toml", "tests/test_app.py", "tube/settings.py"}
    assert [name for name in sorted(shared(fresh)) if not (EXAMPLE / name).is_file()] == []


def test_what_the_example_has_not_changed_is_what_a_new_app_has(fresh: Path) -> None:
    for name in sorted(shared(fresh) - GROWN - OWN):
        assert (EXAMPLE / name).read_text(encoding="utf-8") == (fresh / name).read_text(encoding="utf-8"), name


def test_what_the_example_has_added_to_a_file_leaves_the_lines_of_a_new_app_as_they_are(fresh: Path) -> None:
    for name in sorted(GROWN):
        own = iter(lines(EXAMPLE / name))
        assert [line for line in lines(fresh / name) if line not in own] == [], name


def test_the_example_is_tested_and_typed_as_a_new_app_is(fresh: Path) -> None:
    assert project(EXAMPLE) == project(fresh)


def test_a_feature_of_the_example_has_the_front_of_a_new_one(fresh: Path) -> None:
    front = (fresh / "tube" / SAMPLE / "__init__.py").read_text(encoding="utf-8").partition("\n")[2]
    features = [path.parent for path in (EXAMPLE / "tube").glob("*/wiring.py")]
    assert features
    for feature in features:
        own = (feature / "__init__.py").read_text(encoding="utf-8").partition("\n")[2]
        assert own == front.replace(SAMPLE, feature.name), feature.name


def test_a_new_app_calls_the_first_migration_as_leyden_db_make_would(fresh: Path) -> None:
    (library,) = (fresh / "migrations").glob("0001_*.py")
    accounts = LibraryMigration("auth", "leyden.auth.migrations", "0001", "accounts")
    assert library.read_text(encoding="utf-8") == accounts.source(None)
    assert library.name == f"0001_{accounts.name}.py"
