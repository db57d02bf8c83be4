"""A dashboard asks for its parts at once: what is late or broken is null, the rest is there, and no connection is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leyden.data import Database, DataSettings
from leyden.testing import LiveServer

ADDRESS = "/api/channels/engines/dashboard"
AT_ONCE = 12
LOCKS = {
    "postgresql": ("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE",),
    "mysql": ("LOCK TABLES wallets WRITE", "UNLOCK TABLES"),
}


@pytest.fixture
async def owner(
    serve: Callable[..., LiveServer], sign_in: Callable[..., Any], database_url: str
) -> AsyncIterator[httpx2.AsyncClient]:
    async with serve(database_url, data__pool_size=4).client(timeout=30) as client:
        await sign_in(client, "ada@example.com")
        assert (await client.post("/api/channels", json={"handle": "engines", "title": "Engines"})).status_code == 201
        video = {"channel": "engines", "title": "Steam", "tags": ["iron"]}
        assert (await client.post("/api/videos", json=video)).status_code == 201
        yield client


async def test_a_part_that_fails_is_null_and_the_others_are_there(owner: httpx2.AsyncClient, database_url: str) -> None:
    whole = await seen(owner)
    assert (whole["videos"]["public"], whole["tags"], whole["missing"]) == (1, [{"name": "iron", "videos": 1}], [])
    async with Database(DataSettings(url=SecretStr(database_url))) as database:
        async with database.writer.begin() as connection:
            await connection.execute(text("ALTER TABLE video_tags RENAME TO away"))
        assert await seen(owner) == whole | {"tags": None, "missing": [{"part": "tags", "reason": "failed"}]}
        async with database.writer.begin() as connection:
            await connection.execute(text("ALTER TABLE away RENAME TO video_tags"))
    assert await seen(owner) == whole


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
async def test_a_part_that_is_late_is_null_in_about_a_second_and_its_connection_comes_back(
    owner: httpx2.AsyncClient, database_url: str
) -> None:
    whole = await seen(owner)
    async with locked(database_url):
        begun = asyncio.get_running_loop().time()
        partial = await asyncio.gather(*(seen(owner) for _ in range(AT_ONCE)))
        assert asyncio.get_running_loop().time() - begun < 10
    for one in partial:
        assert {"part": "money", "reason": "late"} in one["missing"], one
        assert one["money"] is None
    assert any(one == whole | {"money": None, "missing": [{"part": "money", "reason": "late"}]} for one in partial)
    assert await asyncio.gather(*(seen(owner) for _ in range(AT_ONCE))) == [whole] * AT_ONCE


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Nobody else can read the table of wallets."""
    async with Database(DataSettings(url=SecretStr(url))) as database, database.writer.connect() as connection:
        lock, *unlock = LOCKS[database.dialect]
        await connection.execute(text(lock))
        try:
            yield
        finally:
            for statement in unlock:
                await connection.execute(text(statement))
            await connection.rollback()


async def seen(owner: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await owner.get(ADDRESS)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
