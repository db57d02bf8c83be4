"""The public names of every package, as a committed list: a change of the API shows in review.

After a change that is meant, write the list anew and commit it:

    LEYDEN_UPDATE_NAMES=1 .venv/bin/pytest tests/test_public_names.py
"""

import importlib
import os
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
SNAPSHOT = Path(__file__).with_name("public_names.txt")
UPDATE = "LEYDEN_UPDATE_NAMES"


def packages() -> dict[str, ModuleType]:
    """`leyden` and each package right below it."""
    source = ROOT / "src" / "leyden"
    names = ["leyden", *(f"leyden.{path.parent.name}" for path in sorted(source.glob("*/__init__.py")))]
    return {name: importlib.import_module(name) for name in names}


def listed(modules: Mapping[str, ModuleType]) -> list[str]:
    return [
        f"{package}.{name}" for package, module in modules.items() for name in sorted(getattr(module, "__all__", []))
    ]


def dangling(modules: Mapping[str, ModuleType]) -> list[str]:
    """Names in an __all__ that the package does not have."""
    return [line for line in listed(modules) if not hasattr(modules[line.rpartition(".")[0]], line.rpartition(".")[2])]


def changes(before: list[str], after: list[str]) -> str:
    return "\n".join(
        line for line in unified_diff(before, after, lineterm="", n=0) if not line.startswith(("@@", "---", "+++"))
    )


def test_the_public_names_are_those_of_the_committed_list() -> None:
    now = listed(packages())
    if os.environ.get(UPDATE) == "1":
        SNAPSHOT.write_text("\n".join(now) + "\n")
    difference = changes(SNAPSHOT.read_text().splitlines(), now)
    assert not difference, f"{difference}\nIf this is meant: {UPDATE}=1 .venv/bin/pytest tests/test_public_names.py"


def test_every_public_name_exists() -> None:
    assert dangling(packages()) == []


def test_a_name_added_or_taken_away_shows() -> None:
    assert "+c" in changes(["a", "b"], ["a", "b", "c"]).splitlines()
    assert "-b" in changes(["a", "b"], ["a"]).splitlines()
    assert changes(["a"], ["a"]) == ""


def test_a_name_that_does_not_exist_is_found() -> None:
    module = ModuleType("demo")
    vars(module).update(__all__=["here", "gone"], here=1)
    assert dangling({"demo": module}) == ["demo.gone"]
