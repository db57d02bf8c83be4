"""A new app: rendered beside its place, then moved there in one step."""

import tempfile
from pathlib import Path

from leyden.scaffold.errors import ScaffoldError
from leyden.scaffold.features import feature_values
from leyden.scaffold.names import heading_of, package_of
from leyden.scaffold.render import write

SAMPLE = "notes"
DATABASES = {"sqlite": "", "postgresql": "[postgres]", "mysql": "[mysql]"}
"""The extra of Leyden that each database needs."""


def write_project(name: str, database: str, parent: Path) -> Path:
    """Make the app `name` in a new folder of `parent` and return that folder. Raises ScaffoldError, having written nothing."""
    package = package_of(name)
    target = parent / name
    if package == SAMPLE:
        raise ScaffoldError(f"The app's first feature is called '{SAMPLE}'. Choose another name, like 'my_{SAMPLE}'.")
    if target.exists() or target.is_symlink():
        raise ScaffoldError(
            f"There is something called '{name}' in this folder already. Choose another name, or move it away."
        )
    try:
        _write(target, package, database)
    except OSError as error:
        raise ScaffoldError(f"The app could not be written to {parent}: {error.strerror or error}.") from error
    return target


def _write(target: Path, package: str, database: str) -> None:
    values = {
        "name": target.name,
        "package": package,
        "title": heading_of(target.name),
        "database": database,
        "scheme": database,
        "extra": DATABASES[database],
        **feature_values(package, SAMPLE, number=2, down="auth_0001"),
    }
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-", ignore_cleanup_errors=True) as made:
        building = Path(made) / target.name  # a folder within: the outer one is closed to others
        building.mkdir()
        for folder in ("project", "auth", "feature"):
            write(folder, building, values)
        _move(building, target)


def _move(building: Path, target: Path) -> None:
    """Fails where something with content has appeared meanwhile."""
    building.rename(target)
