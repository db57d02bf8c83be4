"""An app with accounts on each database, its tables made by the migration."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import Connection
from starlette.requests import Request

from leyden import create_app
from leyden.auth import AuthSettings, CurrentUser, OptionalUser
from leyden.auth import battery as accounts
from leyden.auth.migrations import m0001_accounts
from leyden.core import Clock, identity_of
from leyden.data import Database, DataSettings
from leyden.data import battery as data
from leyden.testing import FrozenClock, client

SECRET = "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"
CHEAP: dict[str, Any] = {"secret": SECRET, "hash_memory": 64, "hash_time": 1, "hash_lanes": 1, "hash_waiting": 500}

Tokens = dict[str, Any]


class Site:
    """What a visitor can do on the app."""

    ada: ClassVar[dict[str, str]] = {"email": "Ada@example.com", "password": "analytical engine"}

    def __init__(self, http: AsyncClient) -> None:
        self.http = http

    async def register(self, **changes: object) -> Response:
        return await self.http.post("/api/auth/register", json={**self.ada, **changes})

    async def login(self, email: str = ada["email"], password: str = ada["password"]) -> Response:
        return await self.http.post("/api/auth/login", data={"username": email, "password": password})

    async def signed_in(self) -> Tokens:
        """Ada, registered and signed in: her pair of tokens."""
        assert (await self.register()).status_code == 201
        answer = await self.login()
        assert answer.status_code == 200
        return dict(answer.json())

    async def get(self, path: str, tokens: Tokens) -> Response:
        return await self.http.get(path, headers=self.bearer(tokens))

    async def change(self, tokens: Tokens, **changes: object) -> Response:
        return await self.http.patch("/api/auth/me", headers=self.bearer(tokens), json=changes)

    async def logout(self, tokens: Tokens) -> Response:
        return await self.http.post("/api/auth/logout", headers=self.bearer(tokens))

    async def refresh(self, tokens: Tokens) -> Response:
        return await self.http.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})

    def bearer(self, tokens: Tokens) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens['access_token']}"}


MakeApp = Callable[..., FastAPI]
MakeSite = Callable[[AsyncClient], Site]
Step = Callable[[Callable[[], None]], Awaitable[None]]


@pytest.fixture
def site_of() -> MakeSite:
    return Site


@pytest.fixture
def make_app(database_url: str, tmp_path: Path) -> MakeApp:
    """An app whose auth section has these options; its tables are not made yet."""

    def make(**options: Any) -> FastAPI:
        stored = DataSettings(url=database_url, migrations=tmp_path / "migrations")
        app = create_app([data(stored), accounts(AuthSettings(**{**CHEAP, **options}))])

        @app.get("/who")
        async def who(user: OptionalUser, request: Request) -> dict[str, str | None]:
            identity = identity_of(request)
            return {"email": user.email if user else None, "subject": identity.subject if identity else None}

        @app.get("/mine")
        async def mine(user: CurrentUser) -> dict[str, str]:
            return {"email": user.email}

        return app

    return make


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def site(make_app: MakeApp, clock: FrozenClock, migrated: None) -> AsyncIterator[Site]:
    """The app with cheap hashes and a clock that stands still."""
    async with client(make_app(), overrides={Clock: clock}) as http:
        yield Site(http)


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """The same database, past the app."""
    async with Database(DataSettings(url=database_url, migrations=tmp_path / "migrations")) as ready:
        yield ready


@pytest.fixture
def step(database: Database) -> Step:
    """Runs one step of a migration."""

    async def step(migration: Callable[[], None]) -> None:
        def run(connection: Connection) -> None:
            with Operations.context(MigrationContext.configure(connection)):
                migration()

        async with database.writer.begin() as connection:
            await connection.run_sync(run)

    return step


@pytest.fixture
async def migrated(step: Step) -> None:
    await step(m0001_accounts.upgrade)
