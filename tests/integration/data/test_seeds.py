"""`leyden db seed`: what a battery puts into a database, once, whoever asks and however many at once."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.cli.groups import Entry
from leyden.core import Battery, ConfigurationError, Resources, running
from leyden.data import Database, DataSettings, battery
from leyden.data.seeds import Seed, seeds_of

Db = Callable[..., tuple[int, str]]
HERE = __name__


async def plant(session: AsyncSession, resources: Resources) -> str:
    await session.execute(text("INSERT INTO plants (name) VALUES ('oak')"))
    return f"one oak, [planted] on {resources[Database].dialect}"


async def fail(session: AsyncSession, resources: Resources) -> None:
    await plant(session, resources)
    raise RuntimeError("frost")


@dataclass
class FakeProject:
    batteries: tuple[Battery, ...]
    development: bool = True
    entrypoint: str = "garden:app"

    def running(self) -> AbstractAsyncContextManager[Resources]:
        return running(self.batteries)


@pytest.fixture
def project(database_url: str, tmp_path: Path) -> FakeProject:
    garden = Battery(name="garden", seeds={"oaks": f"{HERE}:plant"})
    made = FakeProject((battery(DataSettings(url=database_url, migrations=tmp_path / "migrations")), garden))

    async def begin() -> None:
        async with made.running() as resources, resources[Database].session() as session:
            await session.execute(text("CREATE TABLE plants (name VARCHAR(20))"))

    asyncio.run(begin())
    return made


@pytest.fixture
def db(project: FakeProject, capsys: pytest.CaptureFixture[str]) -> Db:
    group = Entry("leyden.data.commands:commands", "", group=True).load()

    def run(*arguments: str) -> tuple[int, str]:
        code = group.main(list(arguments), prog_name="leyden db", standalone_mode=False, obj=project)
        said = capsys.readouterr()
        return code or 0, said.out + said.err

    return run


def plants(project: FakeProject) -> int:
    async def count() -> int:
        async with project.running() as resources, resources[Database].reader() as session:
            return int(await session.scalar(text("SELECT count(*) FROM plants")) or 0)

    return asyncio.run(count())


def test_a_seed_is_sown_once_unless_it_is_asked_for_again(db: Db, project: FakeProject) -> None:
    code, said = db("seed")
    assert (code, said[:30]) == (0, "sowed oaks\none oak, [planted] ")
    code, said = db("seed", "oaks")
    assert (code, said[:25]) == (0, "oaks was done already on ")
    assert plants(project) == 1
    assert db("seed", "--again")[1].startswith("sowed oaks")
    assert plants(project) == 2


def test_of_many_at_once_one_sows(project: FakeProject) -> None:
    async def sow_all() -> int:
        async with project.running() as resources:
            (seed,) = seeds_of(project.batteries)
            sown = await asyncio.gather(*(seed.sow(resources) for _ in range(4)))
            return sum(one.before is None for one in sown)

    assert asyncio.run(sow_all()) == 1
    assert plants(project) == 1


def test_a_seed_that_fails_leaves_nothing_and_may_be_sown_later(project: FakeProject) -> None:
    async def sow(name: str) -> None:
        async with project.running() as resources:
            await Seed("oaks", f"{HERE}:{name}").sow(resources)

    with pytest.raises(RuntimeError):
        asyncio.run(sow("fail"))
    assert plants(project) == 0
    asyncio.run(sow("plant"))
    assert plants(project) == 1


def test_outside_development_nothing_is_added_unless_it_is_meant(db: Db, project: FakeProject) -> None:
    project.development = False
    code, said = db("seed")
    assert code == 2
    assert "add --yes to `leyden db seed`" in said
    assert plants(project) == 0
    assert db("seed", "--yes")[0] == 0


def test_a_name_that_is_no_seed_or_two_is_refused(db: Db, project: FakeProject) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no seed called 'elms'\. There are: oaks\."):
        db("seed", "elms")
    with pytest.raises(ConfigurationError, match="Two batteries have a seed called 'oaks'"):
        seeds_of([*project.batteries, Battery(name="park", seeds={"oaks": "x:y"})])
    project.batteries = project.batteries[:1]
    assert db("seed") == (0, "No battery of this app has seeds.\n")
