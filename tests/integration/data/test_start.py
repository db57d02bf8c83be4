"""Starting with a database that is there, is not there, or is behind; and the checks that say so."""

import asyncio
import contextlib
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, literal_column, select, text

from leyden.core import Battery, Finding, Resources, Stage, StartError, run_checks, running
from leyden.data import Base, Database, DatabaseDownError, DataSettings, battery, prepared
from leyden.data import library as library_module
from leyden.data.checks import CHECKS
from leyden.data.database import Missing
from leyden.data.migrations import Migrations

MakeLibrary = Callable[..., Battery]
EMPTY = "def upgrade(): ...\ndef downgrade(): ...\n"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "mysql"])
async def test_a_database_that_is_down_stops_the_start_with_a_sentence(scheme: str) -> None:
    url = f"{scheme}://ada:s3cret@127.0.0.1:{closed_port()}/shop"
    with pytest.raises(StartError, match=r"does not answer: .+Start it, or correct the database URL") as refused:
        async with running([battery(DataSettings(url=url))]):
            pass
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "mysql"])
async def test_a_server_that_says_nothing_is_given_up_within_the_connect_timeout(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = DataSettings(url=f"{scheme}://ada@127.0.0.1:{port}/shop", connect_timeout=0.5)
        before = time.monotonic()
        with pytest.raises(StartError, match=r"within 0\.5 s"):
            async with running([battery(settings)]):
                pass
        assert time.monotonic() - before < 2


async def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    async with Database(DataSettings(url=f"sqlite:///{tmp_path}/a/b/shop.db")):
        assert (tmp_path / "a" / "b" / "shop.db").is_file()


def written(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def test_an_app_neither_makes_its_sqlite_file_nor_the_folder_of_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/var/shop.db"
    with pytest.raises(
        StartError, match=rf"There is no file {tmp_path}/var/shop\.db\. Run `leyden db upgrade` to make it"
    ):
        async with running([battery(DataSettings(url=url))]):
            pass
    assert written(tmp_path) == []


async def test_what_only_looks_takes_a_file_that_is_not_there_for_an_empty_database(tmp_path: Path) -> None:
    settings = DataSettings(url=f"sqlite:///{tmp_path}/var/shop.db", migrations=tmp_path)
    async with running([battery(settings)], overrides={Missing: Missing.EMPTY}, check=False) as resources:
        (found,) = await run_checks(CHECKS, resources, Stage.START)
    assert str(found) == "data.E001: The database is behind the code: it lacks its file. Run `leyden db upgrade`."
    assert written(tmp_path) == []


def journal_mode(file: Path) -> str:
    with sqlite3.connect(file) as connection:
        found: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    return found


async def test_a_file_is_in_use_and_in_our_mode_once_nothing_speaks_against_it(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    file.touch()
    settings = DataSettings(url=f"sqlite:///{file}", migrations=tmp_path / "migrations")
    async with running([battery(settings)]):
        assert journal_mode(file) == "wal"


async def test_a_file_that_may_only_be_read_is_refused_by_an_app_too(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
    connection.close()
    settings = DataSettings(url=f"sqlite:///file:{tmp_path}/shop.db?mode=ro&uri=true", migrations=tmp_path)
    with pytest.raises(StartError, match=r"The SQLite file .+shop\.db cannot be written\."):
        async with running([battery(settings)]):
            pass
    assert journal_mode(tmp_path / "shop.db") == "delete"


async def test_with_a_file_name_in_the_form_of_a_uri_its_mode_says_whether_the_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a relative folder called "file:" would be made there
    url = f"sqlite:///file:{tmp_path}/new/my%20shop.db?mode="
    with pytest.raises(StartError):
        async with running([battery(DataSettings(url=f"{url}rw"))]):
            pass
    assert written(tmp_path) == []
    async with running([battery(DataSettings(url=f"{url}rwc"))]) as resources:
        assert (tmp_path / "new" / "my shop.db").is_file()
        async with resources[Database].lock("x"):
            assert (tmp_path / "new" / "my shop.db.x.lock").is_file()
    assert {path.relative_to(tmp_path).parts[0] for path in written(tmp_path)} == {"new"}


@pytest.mark.parametrize("options", ["vfs=unix-none", "nolock=1"])
async def test_the_options_of_a_uri_reach_those_who_read_too(tmp_path: Path, options: str) -> None:
    """These two see no lock of another process."""
    one = prepared(select(literal_column("(SELECT count(*) FROM t)").label("n")))
    settings = DataSettings(url=f"sqlite:///file:{tmp_path}/shop.db?{options}", busy_timeout=0)
    async with Database(settings) as database:
        async with database.session() as session:
            await session.execute(text("CREATE TABLE t (n INTEGER)"))
        with contextlib.closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert await one(database) == 0
            async with database.reader() as session:
                assert await one(session) == await session.scalar(text("SELECT count(*) FROM t")) == 0


async def test_a_database_in_memory_is_one_for_all_sessions_and_gone_afterwards() -> None:
    for url in ("sqlite://", "sqlite:///:memory:"):
        async with Database(DataSettings(url=url)) as database:
            async with database.session() as session:
                await session.execute(text("CREATE TABLE t (n INTEGER)"))
                await session.execute(text("INSERT INTO t VALUES (1)"))
            async with database.session() as writing, database.reader() as reading:
                await writing.execute(text("INSERT INTO t VALUES (2)"))
                assert await reading.scalar(text("SELECT count(*) FROM t")) == 1
            folder = Path(str(database.writer.url.database)).parent
            assert folder.is_dir()
        assert not folder.exists()


async def test_a_connection_lost_in_between_is_a_503_and_the_next_session_works(database: Database) -> None:
    if database.dialect == "sqlite":
        return  # a file cannot hang up
    kill = {"postgresql": "SELECT pg_terminate_backend(:id)", "mysql": "KILL :id"}[database.dialect]
    number = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}[database.dialect]

    async def be_killed() -> None:
        async with database.session() as victim:
            own = await victim.scalar(text(number))
            async with database.session() as killer:
                await killer.execute(text(kill), {"id": own})
            await victim.execute(text("SELECT 1"))

    with pytest.raises(DatabaseDownError):
        await be_killed()
    async with database.session() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def findings(database: Database, stage: Stage, *batteries: Battery) -> list[Finding]:
    resources = Resources({Database: database}, batteries)
    return await run_checks(CHECKS, resources, stage)


async def ids(database: Database, stage: Stage, *batteries: Battery) -> list[str]:
    return [found.id for found in await findings(database, stage, *batteries)]


def revision(folder: Path, name: str, down: str | None) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(f"revision, down_revision = {name!r}, {down!r}\n{EMPTY}")


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> MetaData:
    """Those of the app under test, none at first; what other tests have added to Base stays out."""

    class Alone(Base):
        __abstract__ = True
        metadata = MetaData()

    monkeypatch.setattr(library_module, "Base", Alone)
    return Alone.metadata


async def test_the_start_check_sees_what_somebody_has_changed_by_hand(database: Database, models: MetaData) -> None:
    for name in ("Notes", "texts", "views"):
        Table(name, models, Column("id", Integer, primary_key=True), Column("title", String(20)))
    assert await ids(database, Stage.START) == [], "without migrations tables may be made in any way"
    migrations = Migrations(database)
    await migrations.make()
    assert await ids(database, Stage.START) == ["data.E001"]
    await migrations.upgrade()
    Table("elsewhere", models, Column("id", Integer), schema="another")
    assert await ids(database, Stage.START) == [], "what is in another schema is not looked for in this one"

    async with database.session() as session:
        await session.execute(text("ALTER TABLE texts DROP COLUMN title"))
        await session.execute(text("DROP TABLE views"))
    (found,) = await findings(database, Stage.START)
    assert found.id == "data.E007"
    assert found.message == "The models need what the database does not have: texts.title, views."
    assert await ids(database, Stage.READY) == [], "no host has what this one lacks"

    for path in migrations.history.folder.glob("*.py"):
        path.rename(path.with_suffix(".newer"))
    revision(database.settings.migrations, "old", None)
    assert await ids(database, Stage.START) == ["data.W001", "data.E007"], "newer code has dropped what this one needs"


async def test_the_start_check_knows_behind_level_ahead_and_forked(database: Database) -> None:
    folder = database.settings.migrations
    assert await ids(database, Stage.START) == []
    for number in range(5):
        revision(folder, f"r{number}", f"r{number - 1}" if number else None)
    (behind,) = await findings(database, Stage.START)
    assert str(behind) == (
        "data.E001: The database is behind the code: it lacks r0, r1, r2 and 2 more. Run `leyden db upgrade`."
    )
    await Migrations(database).upgrade()
    assert await ids(database, Stage.START) == []
    (folder / "r4.py").unlink()
    assert await ids(database, Stage.START) == ["data.W001"], "the previous release starts on the newer database"
    revision(folder, "fork", "r2")
    assert await ids(database, Stage.START) == ["data.E002"]
    (folder / "broken.py").write_text("revision = (")
    assert await ids(database, Stage.START) == ["data.E003"]


async def test_the_start_check_sees_a_battery_whose_migrations_nobody_calls(
    database: Database, library: MakeLibrary
) -> None:
    shelf = library("shelf", m0001_books=EMPTY)
    assert await ids(database, Stage.START, shelf) == []
    revision(database.settings.migrations, "one", None)
    (found,) = await findings(database, Stage.START, shelf)
    assert found.id == "data.E006"
    assert "shelf_0001" in found.message


async def test_an_app_that_is_behind_does_not_start_and_says_what_to_run(database_url: str, tmp_path: Path) -> None:
    revision(tmp_path / "migrations", "one", None)
    settings = DataSettings(url=database_url, migrations=tmp_path / "migrations")
    with pytest.raises(StartError, match=r"it lacks one\. Run `leyden db upgrade`"):
        async with running([battery(settings)]):
            pass
    async with running([battery(settings)], check=False) as resources:
        await Migrations(resources[Database]).upgrade()
    async with running([battery(settings)]):
        pass


async def test_ready_means_that_the_database_answers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await ids(database, Stage.READY) == []

    async def refuse() -> None:
        raise DatabaseDownError

    async def hang() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("leyden.data.checks.READY_DEADLINE", 0.1)
    for ping in (refuse, hang):
        monkeypatch.setattr(database, "ping", ping)
        assert await ids(database, Stage.READY) == ["data.E004"]


async def test_a_host_whose_connections_are_all_in_use_is_still_ready(database_url: str) -> None:
    settings = DataSettings(url=database_url, pool_size=1, pool_timeout=0.1)
    async with Database(settings) as database, database.reader() as holder:
        await holder.execute(text("SELECT 1"))
        assert await ids(database, Stage.READY) == []


async def test_with_the_default_settings_too(database: Database) -> None:
    async with AsyncExitStack() as holders:
        for _ in range(database.settings.pool_size):
            holder = await holders.enter_async_context(database.reader())
            await holder.execute(text("SELECT 1"))
        if database.dialect == "sqlite":
            writer = await holders.enter_async_context(database.session())
            await writer.execute(text("SELECT 1"))
        results = await asyncio.gather(*(ids(database, Stage.READY) for _ in range(20)))
        assert results == [[]] * 20


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "sqlite://"}, ["data.E005"]),
        ({"url": "sqlite:///{folder}/shop.db"}, ["data.W002"]),
        ({"url": "sqlite:///{folder}/shop.db", "synchronous": "NORMAL"}, ["data.W002", "data.W003"]),
        ({"url": "postgresql://127.0.0.1/shop"}, ["data.W004"]),
        ({"url": "postgresql://127.0.0.1/shop", "cursor_key": "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"}, []),
        ({"url": "mysql://user:secret@127.0.0.1/shop"}, []),
    ],
)
async def test_a_deployment_is_told_what_its_database_means(
    tmp_path: Path, options: dict[str, Any], expected: list[str]
) -> None:
    settings = DataSettings(**{**options, "url": options["url"].format(folder=tmp_path)})
    assert await ids(Database(settings), Stage.DEPLOY) == expected
