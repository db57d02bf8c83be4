"""The migrations that batteries bring, and the revisions of two lines that call them."""

import pkgutil
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from sqlalchemy import MetaData, Table

from leyden.core import Battery, ConfigurationError
from leyden.data.base import Base

_MODULE = re.compile(r"m(\d{4})_(\w+)")


@dataclass(frozen=True, slots=True)
class LibraryMigration:
    """One module of a battery's migrations; its revision has the same id in every project."""

    battery: str
    package: str
    number: str
    what: str

    @property
    def revision(self) -> str:
        return f"{self.battery}_{self.number}"

    @property
    def name(self) -> str:
        return f"{self.battery}_{self.what}"

    @property
    def title(self) -> str:
        return f"{self.battery}: {self.what.replace('_', ' ')}"

    def source(self, down: str | None) -> str:
        """The revision's file: it calls the library's migration, which is tested and updated with the library."""
        return (
            f'"""{self.title}."""\n\n'
            f"from {self.package}.m{self.number}_{self.what} import downgrade, upgrade  # noqa: F401\n\n"
            f'revision, down_revision = "{self.revision}", {quoted(down)}\n'
        )


def library_migrations(batteries: Sequence[Battery]) -> list[LibraryMigration]:
    """Every migration of every battery, in the order they must be called in."""
    return [migration for battery in batteries if battery.migrations for migration in _of(battery, battery.migrations)]


def library_tables(batteries: Sequence[Battery]) -> list[Table]:
    """The tables that batteries' own migrations make: not the user's business."""
    return [table_of(model) for battery in batteries if battery.migrations for model in battery.models]


def metadata_of(batteries: Sequence[Battery]) -> list[MetaData]:
    """Where the tables of all models are: those of Base, and those of batteries that have their own."""
    theirs = (table_of(model).metadata for battery in batteries for model in battery.models)
    return list(dict.fromkeys((Base.metadata, *theirs)))


def table_of(model: type) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]  # a mapped class has one
    return table


def _of(battery: Battery, package: str) -> Iterator[LibraryMigration]:
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ConfigurationError(
            f"The battery '{battery.name}' says its migrations are in {package}, which is no package. "
            "Add an __init__.py there, or correct the name."
        )
    for module in sorted(found.name for found in pkgutil.iter_modules(spec.submodule_search_locations)):
        if named := _MODULE.fullmatch(module):
            yield LibraryMigration(battery.name, package, named[1], named[2])


def quoted(revision: str | None) -> str:
    return "None" if revision is None else f'"{revision}"'
