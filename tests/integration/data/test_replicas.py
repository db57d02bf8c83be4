"""Reads that go to a replica, come back from it when it fails, and never miss what their caller has written."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header
from httpx2 import AsyncClient
from sqlalchemy import bindparam, make_url, select, text
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import HTTPConnection

from leyden import create_app
from leyden.core import ConfigurationError, Resources, Stage, identify, run_checks
from leyden.core.resources import installed
from leyden.data import (
    Base,
    CursorParams,
    Database,
    DatabaseDep,
    DataSettings,
    PageParams,
    ReaderDep,
    SessionDep,
    battery,
    prepared,
)
from leyden.data.checks import CHECKS
from leyden.testing import client, queries
from leyden.testing.clusters import PostgreSQLCluster
from leyden.testing.services import Unavailable, fresh_database, skip_or_fail


class Note(Base):
    __tablename__ = "replica_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    where: Mapped[str]


TABLES = [Base.metadata.tables["replica_notes"]]
WHERE = select(Note.where).where(Note.id == 1)
find_where = prepared(WHERE)
some = prepared(select(Note.where).where(Note.id.in_(bindparam("ids", expanding=True))))
listed = prepared(select(Note.where).order_by(Note.id))


@dataclass(frozen=True)
class Known:
    subject: str


async def recognise(connection: HTTPConnection, user: Annotated[str | None, Header()] = None) -> None:
    if user is not None:
        identify(connection, Known(user))


def app_of(settings: DataSettings) -> FastAPI:
    app = create_app([battery(settings)])
    # As an app does it: who it is turns out after the session has been opened.
    caller = [Depends(recognise)]

    @app.get("/orm", dependencies=caller)
    async def orm(session: ReaderDep) -> str | None:
        return await session.scalar(WHERE)

    @app.get("/prepared", dependencies=caller)
    async def straight(database: DatabaseDep) -> str | None:
        return await find_where(database)

    @app.get("/through-the-session", dependencies=caller)
    async def through(session: ReaderDep) -> str | None:
        return await find_where(session)

    @app.post("/notes", dependencies=caller)
    async def write(session: SessionDep) -> None:
        session.add(Note(where="written"))

    @app.post("/notes-and-read", dependencies=caller)
    async def write_and_read(session: SessionDep, reader: ReaderDep, database: DatabaseDep) -> list[str | None]:
        before = await reader.scalar(WHERE)
        session.add(Note(where="written"))
        await session.commit()
        return [before, await reader.scalar(WHERE), await find_where(database)]

    @app.post("/only-reads", dependencies=caller)
    async def only_read(session: SessionDep) -> str | None:
        return await session.scalar(WHERE)

    add_reads_by_sessions(app)
    return app


def add_reads_by_sessions(app: FastAPI) -> None:
    @app.get("/fallback")
    async def fall_back(database: DatabaseDep) -> str | None:
        return await some(database, ids=[1])

    @app.get("/fallback-of-the-session")
    async def fall_back_within(session: ReaderDep) -> str | None:
        return await some(session, ids=[1])

    @app.get("/page")
    async def page(database: DatabaseDep) -> Any:
        return (await listed.pages(database, PageParams(size=1))).items[0]

    @app.get("/page-of-the-session")
    async def page_within(session: ReaderDep) -> Any:
        return (await listed.pages(session, PageParams(size=1))).items[0]

    @app.get("/page-by-cursor")
    async def page_by_cursor(session: ReaderDep, database: DatabaseDep) -> Any:
        return (await listed.pages(session, CursorParams(database, size=1))).items[0]


async def fill(url: str, where: str) -> None:
    async with Database(DataSettings(url=url)) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
        async with database.session() as session:
            session.add(Note(where=where))


@pytest.fixture
def replica_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """A second database of the same kind."""
    scheme = database_url.partition(":")[0]
    kind = {"postgresql+psycopg": "postgresql", "mysql": "mariadb"}.get(scheme, scheme)
    with fresh_database(kind, tmp_path) as url:
        yield url.replace(url.partition(":")[0], scheme, 1)


@pytest.fixture
async def settings(database_url: str, replica_url: str) -> DataSettings:
    """A primary, and a replica that lags behind for ever: each says which it is."""
    await fill(database_url, "primary")
    await fill(replica_url, "replica")
    return DataSettings(url=database_url, replica=replica_url, replica_lag=0.6)


@pytest.fixture
async def browser(settings: DataSettings) -> AsyncIterator[AsyncClient]:
    async with client(app_of(settings)) as ready:
        yield ready


READS = ("/orm", "/prepared", "/through-the-session")
BY_SESSIONS = ("/fallback", "/fallback-of-the-session", "/page", "/page-of-the-session", "/page-by-cursor")


async def where(browser: AsyncClient, **headers: str) -> set[str]:
    return {(await browser.get(path, headers=headers)).json() for path in READS}


async def test_reads_of_requests_go_to_the_replica(browser: AsyncClient) -> None:
    assert await where(browser) == {"replica"}
    assert (await browser.post("/only-reads")).json() == "primary"
    assert await where(browser) == {"replica"}, "a unit of work that only read is no reason to leave it"


async def test_whoever_has_written_reads_it_in_the_same_request(browser: AsyncClient) -> None:
    assert (await browser.post("/notes-and-read")).json() == ["replica", "primary", "primary"]


async def test_whoever_has_written_reads_it_in_the_next_requests_for_a_while(browser: AsyncClient) -> None:
    answer = await browser.post("/notes", headers={"user": "ada"})
    assert answer.headers["set-cookie"] == "leyden_wrote=1; Max-Age=2; Path=/; HttpOnly; SameSite=Lax"
    browser.cookies.clear()
    assert await where(browser, user="ada") == {"primary"}
    assert await where(browser, user="bob") == {"replica"}
    assert await where(browser) == {"replica"}
    await asyncio.sleep(0.7)
    assert await where(browser, user="ada") == {"replica"}


async def test_a_cookie_carries_it_to_another_process(settings: DataSettings, browser: AsyncClient) -> None:
    async with client(app_of(settings)) as other:
        await browser.post("/notes")
        assert await where(browser) == {"primary"}
        other.cookies = browser.cookies
        assert await where(other) == {"primary"}
        other.cookies.clear()
        assert await where(other) == {"replica"}


async def test_outside_of_requests_reads_go_to_the_primary(settings: DataSettings) -> None:
    async with Database(settings) as database:
        async with database.reader() as session:
            assert await session.scalar(WHERE) == "primary"
        assert await find_where(database) == "primary"


async def test_what_runs_on_the_replica_is_told_whatever_way_it_goes(settings: DataSettings) -> None:
    app = app_of(settings)
    async with client(app) as browser:
        database = running(app)
        told = []
        for path in READS:
            with queries(database) as ran:
                assert (await browser.get(path)).json() == "replica"
            told.append([(query.statement, query.failed) for query in ran])
        assert [len(each) for each in told] == [1, 1, 1]
        assert told[0] == told[1] == told[2]
        for path in BY_SESSIONS:
            with queries(database) as ran:
                assert (await browser.get(path)).json() == "replica"
            assert len(ran) == (2 if path in {"/page", "/page-of-the-session"} else 1)


def running(app: FastAPI) -> Database:
    resources: Resources = installed(app).resources  # type: ignore[assignment]  # it runs
    return resources[Database]


SERVERS = pytest.mark.parametrize("database_url", ["postgresql", "psycopg", "mariadb"], indirect=True)


@pytest.fixture
def broken(settings: DataSettings) -> DataSettings:
    """Where the replica should be, nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    gone = make_url(settings.replica.get_secret_value()).set(host="127.0.0.1", port=port)  # type: ignore[union-attr]  # set
    return settings.model_copy(update={"replica": type(settings.url)(gone.render_as_string(hide_password=False))})


@SERVERS
async def test_whatever_read_comes_first_finds_out_that_the_replica_is_down(broken: DataSettings) -> None:
    for path in (*READS, *BY_SESSIONS):
        app = app_of(broken)
        async with client(app) as browser:
            assert (await browser.get(path)).json() == "primary", path
            assert running(app).replica.up is False  # type: ignore[union-attr]  # it has one
            assert running(app).pools["read"].in_use == 0


@SERVERS
async def test_a_replica_that_is_down_is_replaced_by_the_primary_and_a_warning(
    broken: DataSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leyden.data.replicas._AGAIN", 0.2)
    app = app_of(broken)
    async with client(app) as browser:
        async with asyncio.timeout(2):
            assert await where(browser) == {"primary"}
            assert await asyncio.gather(*(where(browser) for _ in range(20))) == [{"primary"}] * 20
        resources: Resources = installed(app).resources  # type: ignore[assignment]  # it runs
        found = await run_checks(CHECKS, resources, Stage.READY)
        assert [(finding.id, finding.serious) for finding in found] == [("data.W005", False)]


@pytest.fixture
def cluster() -> Iterator[PostgreSQLCluster]:
    try:
        with PostgreSQLCluster() as cluster:
            yield cluster
    except Unavailable as reason:
        skip_or_fail(str(reason))


async def test_a_streaming_replica_is_read_stopped_and_read_again(
    cluster: PostgreSQLCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leyden.data.replicas._AGAIN", 0.2)
    await fill(cluster.url, "primary")
    with cluster.copy() as standby:
        app = app_of(DataSettings(url=cluster.url, replica=standby.url, replica_lag=1.0))
        recovering = text("SELECT pg_is_in_recovery()")

        @app.get("/recovering")
        async def which(session: ReaderDep) -> Any:
            return await session.scalar(recovering)

        async with client(app) as browser:
            assert (await browser.get("/recovering")).json() is True
            standby.stop("immediate")
            for _ in range(10):
                assert (await browser.get("/recovering")).json() is False
                assert await where(browser) == {"primary"}
            await asyncio.to_thread(standby.start)
            async with asyncio.timeout(5):
                while (await browser.get("/recovering")).json() is False:  # noqa: ASYNC110 -- another process
                    await asyncio.sleep(0.05)
            assert (await browser.post("/notes")).status_code == 200
            assert (await browser.get("/recovering")).json() is False


async def test_what_the_replica_cannot_finish_is_read_from_the_primary(cluster: PostgreSQLCluster) -> None:
    await fill(cluster.url, "primary")
    with cluster.copy() as standby:
        app = app_of(DataSettings(url=cluster.url, replica=standby.url))

        @app.get("/conflict")
        async def conflict(session: ReaderDep) -> bool:
            held = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_terminate_backend(pg_backend_pid()) ELSE false END"
            return bool(await session.scalar(text(held)))

        async with client(app) as browser:
            assert (await browser.get("/conflict")).json() is False


@pytest.mark.parametrize(
    ("url", "replica", "said"),
    [
        ("postgresql://h/x", "mysql://h/x", "not the same kind"),
        ("postgresql://h/x", "postgresql+psycopg://h/x", "not the same kind"),
        ("sqlite:///x.db", "sqlite://", "in memory"),
        ("postgresql://h/x", "nonsense", "cannot be read|no scheme"),
    ],
)
def test_a_replica_of_another_kind_is_refused(url: str, replica: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        battery(DataSettings(url=url, replica=replica))
    assert "Leave" in str(refused.value) or "Correct" in str(refused.value) or "Write" in str(refused.value)


async def test_many_writers_are_forgotten() -> None:
    from leyden.data.callers import Writers

    writers = Writers(0.05)
    for number in range(1000):
        writers.note(str(number))
    assert "999" in writers
    await asyncio.sleep(0.06)
    assert "999" not in writers
    writers.note("ada")
    assert len(writers._last) == 1
