from httpx2 import AsyncClient
from leyden.core import installed
from leyden.data import Database
from leyden.data.migrations import Migrations

from tube.app import app


async def test_the_app_is_ready(client: AsyncClient) -> None:
    assert (await client.get("/health/ready")).status_code == 200


async def test_a_signed_in_user_sees_their_own_account(client: AsyncClient, ada: dict[str, str]) -> None:
    me = await client.get("/api/auth/me", headers=ada)

    assert me.json()["email"] == "ada@example.com"


async def test_a_visitor_is_asked_to_sign_in(client: AsyncClient) -> None:
    assert (await client.get("/api/auth/me")).status_code == 401


async def test_the_migrations_say_what_the_models_say(database: Database) -> None:
    assert await Migrations(database, installed(app).batteries).problems() == []
