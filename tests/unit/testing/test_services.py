"""Services are used where they answer; fresh databases are new, empty and gone afterwards."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from leyden.testing import services
from leyden.testing.services import Unavailable, ask, fresh_database

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}


@pytest.fixture(autouse=True)
def forget_answers() -> Iterator[None]:
    services._why_not.cache_clear()
    yield
    services._why_not.cache_clear()


def execute(url: str, statement: str) -> None:
    async def run() -> None:
        engine = create_async_engine(make_url(url).set(drivername=DRIVERS[make_url(url).get_backend_name()]))
        async with engine.begin() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(run())


def test_every_test_gets_an_empty_database(database_url: str) -> None:
    execute(database_url, "CREATE TABLE things (id INTEGER)")
    execute(database_url, "INSERT INTO things VALUES (1)")


def test_a_database_that_cannot_be_reached_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEYDEN_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:1/postgres")
    with (
        pytest.raises(Unavailable, match=r"postgresql does not answer at 127\.0\.0\.1:1"),
        fresh_database("postgresql", tmp_path),
    ):
        pytest.fail("must not be reached")


@pytest.mark.service("redis")
def test_redis_says_pong() -> None:
    ask("redis")


@pytest.mark.service("rabbitmq")
def test_rabbitmq_greets() -> None:
    ask("rabbitmq")


def test_a_service_that_does_not_exist_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="known here: mariadb, postgresql, rabbitmq, redis"):
        ask("oracle")


def test_another_program_on_the_port_is_not_the_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(64)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n")

        thread = Thread(target=answer)
        thread.start()
        with pytest.raises(Unavailable, match="is not redis"):
            services._exchange("redis", listener.getsockname()[1], b"PING\r\n", b"+PONG")
        thread.join()


@pytest.mark.parametrize(("required", "outcome"), [("0", "skipped"), ("1", "errors")])
def test_a_missing_service_is_a_skip_with_the_reason_or_a_failure_where_all_must_be_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str, outcome: str
) -> None:
    monkeypatch.setenv("LEYDEN_REQUIRE_SERVICES", required)
    monkeypatch.setenv("LEYDEN_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:1/postgres")
    pytester.makeconftest((Path(__file__).parents[2] / "conftest.py").read_text())
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.service("postgresql")
        def test_something():
            raise AssertionError
        """
    )
    result = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["*postgresql does not answer at 127.0.0.1:1*"])
