"""Who may import whom, which driver is imported where, and the shape of a battery's folder."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "leyden"

NOT_BATTERIES = {"core", "turbo", "cli", "testing", "scaffold", "console"}
BATTERIES = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()} - NOT_BATTERIES
PLAYERS = BATTERIES | {"", "core"}
"""What the outer packages may use; "" is `leyden` itself and its app.py."""

MAY_IMPORT: dict[str, set[str]] = {
    "": {"", "core", "turbo"},  # create_app compiles
    "core": set(),
    "turbo": set(),
    "scaffold": set(),
    "console": PLAYERS,
    "testing": PLAYERS | {"turbo"},
    "cli": PLAYERS | {"scaffold", "turbo"},  # `leyden new` is the only door to the scaffold
}
"""Beside themselves. A battery may import core, and the batteries it requires."""

DRIVERS = {
    "sqlite3",
    "aiosqlite",
    "asyncpg",
    "psycopg",
    "asyncmy",
    "aiomysql",
    "redis",
    "aiosmtplib",
    "obstore",
    "celery",
}
EDGES = {"routes", "middleware", "tasks", "commands", "checks", "admin"}
WITHOUT_SQL = EDGES - {"routes"} | {"__init__", "wiring", "settings", "errors", "schemas"}
"""Files of a battery in which a query would be in the wrong place."""


@dataclass(frozen=True)
class Module:
    """A file of the source: where it is in the package, and what it says."""

    path: PurePosixPath
    text: str
    requires: frozenset[str] = frozenset()

    @property
    def package(self) -> str:
        return self.path.parts[0] if len(self.path.parts) > 1 else ""

    @property
    def dotted(self) -> str:
        return ".".join(("leyden", *self.path.with_suffix("").parts)).removesuffix(".__init__")

    @property
    def role(self) -> str:
        """The name that the house gives its files: `routes`, `wiring`; that of its folder where it is in one."""
        return self.path.stem if len(self.path.parts) < 3 else self.path.parts[1]


@dataclass(frozen=True)
class Import:
    """One imported name: `from leyden.data import Model` is module leyden.data, name Model."""

    line: int
    module: str
    name: str | None

    @property
    def package(self) -> str:
        """The part of leyden this is in, also where it is written `from leyden import data`."""
        part = (*self.module.split("."), self.name or "")[1]
        return part if part in BATTERIES | NOT_BATTERIES else ""


def imports_of(module: Module) -> Iterator[Import]:
    for node in ast.walk(ast.parse(module.text)):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.dotted.split(".")
                above = above if module.path.stem == "__init__" else above[:-1]
                base = ".".join((*above[: len(above) - node.level + 1], *([base] if base else [])))
            yield from (Import(node.lineno, base, alias.name) for alias in node.names)


def forbidden_imports(module: Module) -> Iterator[str]:
    """The import table."""
    battery = module.package in BATTERIES
    allowed = {"core", *module.requires} if battery else MAY_IMPORT.get(module.package, set())
    for found in imports_of(module):
        if found.module.split(".")[0] == "leyden" and found.package not in allowed | {module.package}:
            yield f"{module.path}:{found.line}: {module.package or 'leyden'} must not import leyden.{found.package}"


def private_imports(module: Module, public: dict[str, set[str]]) -> Iterator[str]:
    """Of a battery others take what its package names, and from there."""
    for found in imports_of(module):
        if found.module.split(".")[0] != "leyden" or found.package not in BATTERIES - {module.package}:
            continue
        if found.module == "leyden" or (found.module.count(".") == 1 and found.name in {None, *public[found.package]}):
            continue
        yield f"{module.path}:{found.line}: {found.module} {found.name or ''} is not a public name of a battery"


def misplaced_drivers(module: Module) -> Iterator[str]:
    """Drivers only in backends/; SQLAlchemy only in data and where a query is the job."""
    parts = module.path.parts
    for found in imports_of(module):
        library = found.module.split(".")[0]
        if library in DRIVERS and "backends" not in parts:
            yield f"{module.path}:{found.line}: the driver {library} belongs in backends/"
        if library == "sqlalchemy" and not _may_query(module):
            yield f"{module.path}:{found.line}: SQLAlchemy does not belong in this file"


def _may_query(module: Module) -> bool:
    if module.package in {"data", "testing"}:  # the test kit makes the databases that tests run on
        return True
    return module.package in BATTERIES and module.role not in WITHOUT_SQL


def imports_against_the_stream(module: Module) -> Iterator[str]:
    """Inside a battery: the noun and what is below it know no edge, and nobody but the front knows the wiring."""
    if module.package not in BATTERIES or module.role == "__init__":
        return
    for found in imports_of(module):
        if found.package != module.package:
            continue
        parts = found.module.split(".")
        role = parts[2] if len(parts) > 2 else found.name
        if role == "wiring" or (role in EDGES and module.role not in EDGES | {"wiring"}):
            yield f"{module.path}:{found.line}: {module.role} must not import {role}"


def more_than_names(text: str) -> Iterator[str]:
    """The front of a battery: a docstring, imports, and a sorted __all__."""
    names: list[str] | None = None
    for node in ast.parse(text).body:
        match node:
            case ast.Expr(value=ast.Constant(value=str())) | ast.Import() | ast.ImportFrom():
                pass
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() as listed):
                names = [str(element.value) for element in listed.elts if isinstance(element, ast.Constant)]
            case _:
                yield f"line {node.lineno}: only names belong here"
    if names is None:
        yield "there is no __all__"
    elif names != sorted(names, key=_as_ruff_sorts):
        yield "__all__ is not sorted"


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def requires_of(wiring: str) -> frozenset[str]:
    """The literal `requires` of the Battery in a wiring.py."""
    for node in ast.walk(ast.parse(wiring)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Battery":
            for keyword in node.keywords:
                if keyword.arg == "requires":
                    return frozenset(ast.literal_eval(keyword.value))
    return frozenset()


def _module(path: Path) -> Module:
    place = PurePosixPath(path.relative_to(SOURCE))
    wiring = SOURCE / place.parts[0] / "wiring.py"
    requires = requires_of(wiring.read_text()) if wiring.is_file() else frozenset()
    return Module(place, path.read_text(), requires)


def _public(name: str) -> set[str]:
    for node in ast.parse((SOURCE / name / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


MODULES = [_module(path) for path in sorted(SOURCE.rglob("*.py")) if "templates" not in path.parts]
PUBLIC = {name: _public(name) for name in BATTERIES}


def test_every_package_imports_only_what_stands_below_it() -> None:
    assert [problem for module in MODULES for problem in forbidden_imports(module)] == []


def test_a_battery_is_used_by_its_public_names() -> None:
    assert [problem for module in MODULES for problem in private_imports(module, PUBLIC)] == []


def test_drivers_and_queries_are_where_they_belong() -> None:
    assert [problem for module in MODULES for problem in misplaced_drivers(module)] == []


def test_inside_a_battery_imports_go_one_way() -> None:
    assert [problem for module in MODULES for problem in imports_against_the_stream(module)] == []


def test_the_factory_knows_no_battery_and_fits_on_a_screen() -> None:
    app = next(module for module in MODULES if str(module.path) == "app.py")
    assert {found.package for found in imports_of(app) if found.module.startswith("leyden")} == {"core", "turbo"}
    assert len(app.text.splitlines()) < 80


@pytest.mark.parametrize("name", sorted(BATTERIES))
def test_a_battery_has_its_front_its_wiring_and_its_settings(name: str) -> None:
    assert [file for file in ("__init__.py", "wiring.py", "settings.py") if not (SOURCE / name / file).is_file()] == []
    assert list(more_than_names((SOURCE / name / "__init__.py").read_text())) == []


def sample(path: str, text: str, *, requires: frozenset[str] = frozenset()) -> Module:
    return Module(PurePosixPath(path), text, requires)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app.py", "from leyden.http import Problem"),
        ("core/clock.py", "import leyden.data"),
        ("core/clock.py", "from leyden.app import create_app"),
        ("core/clock.py", "from .. import app"),
        ("core/clock.py", "from ..data import Model"),
        ("data/pages.py", "from leyden.http import Problem"),
        ("data/pages.py", "from leyden import http"),
        ("data/pages.py", "def late():\n    from leyden.cli.main import main"),
        ("http/stack.py", "from leyden.testing import client"),
        ("scaffold/write.py", "from leyden.core import Settings"),
    ],
)
def test_the_table_forbids(path: str, text: str) -> None:
    assert list(forbidden_imports(sample(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/clock.py", "from leyden.core.errors import LeydenError"),
        ("core/clock.py", "from .errors import LeydenError"),
        ("auth/routes.py", "from leyden.data import SessionDep"),
        ("cli/new.py", "from leyden.scaffold import write"),
        ("testing/rollback.py", "from leyden.data import Database"),
        ("app.py", "from leyden.core.battery import Battery"),
    ],
)
def test_the_table_allows(path: str, text: str) -> None:
    module = sample(path, text, requires=frozenset({"data"}))
    assert list(forbidden_imports(module)) == []
    assert list(private_imports(module, PUBLIC)) == []


@pytest.mark.parametrize(
    "text",
    ["from leyden.data.pages import Page", "from leyden.data import pages", "import leyden.data.pages"],
)
def test_a_private_name_of_another_battery_is_found(text: str) -> None:
    assert list(private_imports(sample("auth/routes.py", text), PUBLIC))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("auth/accounts.py", "import asyncpg"),
        ("data/database.py", "import sqlite3"),
        ("auth/wiring.py", "from sqlalchemy import select"),
        ("auth/schemas.py", "import sqlalchemy.orm"),
        ("cli/main.py", "from sqlalchemy import text"),
        ("core/battery.py", "import sqlalchemy"),
    ],
)
def test_a_driver_or_a_query_in_the_wrong_place_is_found(path: str, text: str) -> None:
    assert list(misplaced_drivers(sample(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("data/backends/sqlite.py", "import sqlite3"),
        ("auth/models.py", "from sqlalchemy import String"),
        ("auth/accounts.py", "from sqlalchemy import select"),
        ("auth/migrations/m0001_accounts.py", "import sqlalchemy as sa"),
    ],
)
def test_a_driver_or_a_query_in_its_place_is_fine(path: str, text: str) -> None:
    assert list(misplaced_drivers(sample(path, text))) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("auth/accounts.py", "from leyden.auth.routes import router"),
        ("auth/models.py", "from leyden.auth import checks"),
        ("auth/routes.py", "from leyden.auth.wiring import battery"),
        ("data/backends/sqlite.py", "from leyden.data.commands import commands"),
    ],
)
def test_an_import_against_the_stream_is_found(path: str, text: str) -> None:
    assert list(imports_against_the_stream(sample(path, text)))


@pytest.mark.parametrize(
    "text", ["x = 1\n__all__ = []", '__all__ = ["b", "a"]', '"""Only words."""', "def f(): ...\n__all__ = []"]
)
def test_a_front_with_more_than_names_is_found(text: str) -> None:
    assert list(more_than_names(text))


def test_requires_are_read_from_the_wiring() -> None:
    assert requires_of('def battery():\n    return Battery(name="a", requires=("data", "http"))') == {"data", "http"}
    assert requires_of('def battery():\n    return Battery(name="a")') == frozenset()
