"""A started database on each kind of server, and a battery with migrations to go with it."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from leyden.core import Battery
from leyden.data import Database, DataSettings
from leyden.testing.services import DATABASES, Unavailable, fresh_database, skip_or_fail


@pytest.fixture(params=[*DATABASES, "psycopg"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As everywhere, and PostgreSQL a second time through its other driver."""
    kind = "postgresql" if request.param == "psycopg" else request.param
    try:
        with fresh_database(kind, tmp_path) as url:
            yield url.replace("postgresql:", "postgresql+psycopg:") if request.param == "psycopg" else url
    except Unavailable as reason:
        skip_or_fail(str(reason))


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    settings = DataSettings(url=database_url, migrations=tmp_path / "migrations")
    async with Database(settings) as started:
        yield started


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Battery]:
    """Makes a battery whose migrations are the modules given: `library("shelf", m0001_books="...")`."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, models: tuple[type, ...] = (), **modules: str) -> Battery:
        package = f"library_{name}_{tmp_path.name.replace('-', '_')}"
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
        for module, source in modules.items():
            (folder / f"{module}.py").write_text(dedent(source))
        for known in [known for known in sys.modules if known.startswith(package)]:
            monkeypatch.delitem(sys.modules, known)
        return Battery(name=name, migrations=package, models=models)

    return make
