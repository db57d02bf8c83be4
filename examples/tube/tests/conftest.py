"""Every test has a database of its own: a new SQLite file, migrated as the real one is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from leyden import testing
from leyden.core import installed
from leyden.data import Database, DataSettings
from leyden.data.migrations import Migrations

from tube.app import app
from tube.settings import ROOT


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    settings = DataSettings(url=f"sqlite:///{tmp_path / 'test.db'}", migrations=ROOT / "migrations")
    async with Database(settings) as database:
        await Migrations(database, installed(app).batteries).upgrade()
        yield database


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncClient]:
    async with testing.client(app, overrides={Database: database}) as client:
        yield client


@pytest.fixture
async def ada(client: AsyncClient) -> dict[str, str]:
    """The headers of a signed-in user."""
    return await _signed_in(client, "ada@example.com")


@pytest.fixture
async def bob(client: AsyncClient) -> dict[str, str]:
    """Those of another one."""
    return await _signed_in(client, "bob@example.com")


@pytest.fixture
async def channel(client: AsyncClient, ada: dict[str, str]) -> str:
    """The handle of Ada's channel."""
    made = await client.post("/api/channels", json={"handle": "engines", "title": "Engines"}, headers=ada)
    assert made.status_code == 201, made.text
    return "engines"


async def _signed_in(client: AsyncClient, email: str) -> dict[str, str]:
    password = "a long enough password"
    registered = await client.post("/api/auth/register", json={"email": email, "password": password})
    assert registered.status_code == 201, registered.text
    tokens = await client.post("/api/auth/login", data={"username": email, "password": password})
    return {"Authorization": f"Bearer {tokens.json()['access_token']}"}
