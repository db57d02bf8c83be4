"""A database that is there and cannot be used: what the start says, which is what to do and not "start it"."""

import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text

from leyden.core import StartError
from leyden.data import Database, DataSettings

on_servers = pytest.mark.parametrize("database_url", ["postgresql", "psycopg", "mariadb"], indirect=True)
CORRECT = "orrect the database URL in the settings"


async def refused(url: str, **options: object) -> str:
    """The sentence of the start that fails."""
    with pytest.raises(StartError) as caught:
        async with Database(DataSettings(url=url, **options)):
            pass
    said = str(caught.value)
    assert "\n" not in said
    assert "Start it" not in said
    return said


def changed(url: str, **parts: str | None) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]  # parts are texts


def server(url: str) -> str:
    parsed = make_url(url)
    return f"{parsed.host}:{parsed.port}"


@on_servers
async def test_a_database_that_the_server_does_not_have_is_named_with_the_command_that_makes_it(
    database_url: str,
) -> None:
    make = "mariadb-admin create" if database_url.startswith("mysql") else "createdb"
    assert await refused(changed(database_url, database="nowhere")) == (
        f"The server {server(database_url)} has no database called 'nowhere'. "
        f"Make it, for example with `{make} nowhere`, or c{CORRECT}."
    )


@on_servers
async def test_a_user_who_is_refused_is_named_without_the_password(database_url: str) -> None:
    said = await refused(changed(database_url, username="nobody_here", password="s3cret"))
    assert said.startswith(f"The server {server(database_url)} refused the user 'nobody_here': ")
    assert said.endswith(". Correct the name or the password in the database URL of the settings.")
    assert "s3cret" not in said


@pytest.fixture
async def stranger(database_url: str) -> AsyncIterator[str]:
    """The URL of a user who may log in and has no right to the database."""
    name = f"leyden_{uuid4().hex[:12]}"
    mysql = database_url.startswith("mysql")
    user = f"{name}@'127.0.0.1'" if mysql else name
    password = uuid4().hex
    async with Database(DataSettings(url=database_url)) as database, database.writer.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")  # noqa: PLW2901 -- the same one
        login = "IDENTIFIED BY" if mysql else "LOGIN PASSWORD"
        await connection.execute(text(f"CREATE USER {user} {login} '{password}'"))
        try:
            if not mysql:
                await connection.execute(
                    text(f"REVOKE CONNECT ON DATABASE {make_url(database_url).database} FROM public")
                )
            yield changed(database_url, username=name, password=password)
        finally:
            await connection.execute(text(f"DROP USER {user}"))


@on_servers
async def test_a_user_without_a_right_to_the_database_is_told_so(stranger: str) -> None:
    url = make_url(stranger)
    said = await refused(stranger)
    assert said.startswith(
        f"The server {server(stranger)} keeps the user '{url.username}' from the database '{url.database}': "
    )
    assert said.endswith(f". Give that user the right to it, or c{CORRECT}.")
    assert str(url.password) not in said


@pytest.mark.parametrize("path", ["/proc/shop.db", "/sys/kernel/shop.db", "{folder}"])
async def test_a_path_where_there_can_be_no_file_is_named(tmp_path: Path, path: str) -> None:
    file = path.format(folder=tmp_path)
    assert await refused(f"sqlite:///{file}") == (
        f"The SQLite file {file} cannot be opened. "
        f"See that it is a file, and that you may write it and its folder, or c{CORRECT}."
    )


async def test_a_file_that_may_only_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    made(tmp_path / "shop.db").close()
    said = await refused(f"sqlite:///file:{tmp_path}/shop.db?mode=ro&uri=true")
    assert re.search(
        r"The SQLite file .+shop\.db cannot be written\. See that you may write it and its folder, or", said
    )


async def test_a_file_that_is_no_database_is_said_to_be_so(tmp_path: Path) -> None:
    file = written(tmp_path / "shop.db")
    assert await refused(f"sqlite:///{file}") == f"The file {file} is no SQLite database. C{CORRECT}."


async def test_a_file_that_another_process_keeps_locked_is_said_to_be_so(tmp_path: Path) -> None:
    holder = made(tmp_path / "shop.db")
    holder.execute("BEGIN EXCLUSIVE")
    assert await refused(f"sqlite:///{tmp_path}/shop.db", busy_timeout=0) == (
        f"Another process keeps the SQLite file {tmp_path}/shop.db locked. End that process, or wait for it."
    )
    holder.close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = written(tmp_path / "file")
    said = await refused(f"sqlite:///{file}/shop.db")
    assert said.startswith(f"The folder {file} for the SQLite file cannot be made: ")
    assert said.endswith(f". Make it, or c{CORRECT}.")


def made(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE t (n INTEGER)")
    return connection


def written(path: Path) -> Path:
    path.write_text("no database, but text that is long enough to be read as the header of one" * 20)
    return path
