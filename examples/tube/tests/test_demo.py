import pytest
from httpx2 import AsyncClient
from leyden.auth import Accounts, User
from leyden.core import installed, running
from leyden.data import Database
from rich.progress import Progress
from sqlalchemy import delete

from tube.app import app
from tube.channels.models import Channel
from tube.demo.seed import Login, seed


async def sown(database: Database) -> list[Login]:
    async with running(installed(app).batteries, overrides={Database: database}) as resources, database.session() as s:
        return await seed(s, resources[Accounts], Progress(disable=True))


async def test_the_demonstration_is_there_once_and_its_accounts_can_sign_in(
    client: AsyncClient, database: Database
) -> None:
    logins = await sown(database)
    total = (await client.get("/api/videos")).json()["total"]
    assert total > 20
    assert await sown(database) == []
    assert (await client.get("/api/videos")).json()["total"] == total
    form = {"username": logins[0].email, "password": logins[0].password}
    login = await client.post("/api/auth/login", data=form)
    assert login.status_code == 200
    wallet = await client.get("/api/wallet", headers={"Authorization": f"Bearer {login.json()['access_token']}"})
    assert wallet.json()["balance"] == 25_000


async def test_deleted_channels_are_not_brought_back_and_lock_nobody_out(database: Database) -> None:
    await sown(database)
    async with database.session() as session:
        await session.execute(delete(Channel))
    assert await sown(database) == []


async def test_deleted_accounts_leave_room_for_new_ones(database: Database) -> None:
    await sown(database)
    async with database.session() as session:
        await session.execute(delete(User))
    assert await sown(database)


@pytest.mark.parametrize("email", ["mara@tube.example", "Mara@Tube.example", "chenli@tube.example"])
async def test_somebody_elses_account_with_an_address_of_the_demonstration_is_left_alone(
    client: AsyncClient, database: Database, email: str
) -> None:
    account = {"email": email, "password": "a long enough password"}
    assert (await client.post("/api/auth/register", json=account)).status_code == 201
    assert await sown(database) == []


async def test_somebody_elses_channel_with_a_handle_of_the_demonstration_is_left_alone(
    client: AsyncClient, ada: dict[str, str], database: Database
) -> None:
    taken = {"handle": "slow-rail", "title": "Mine"}
    assert (await client.post("/api/channels", json=taken, headers=ada)).status_code == 201
    assert await sown(database) == []


async def test_what_others_have_made_does_not_keep_the_demonstration_away(
    ada: dict[str, str], database: Database
) -> None:
    assert ada
    assert await sown(database)


async def test_passwords_of_the_demonstration_differ_each_time_and_are_not_in_the_repr(database: Database) -> None:
    logins = await sown(database)
    assert len({login.password for login in logins}) == len(logins) > 1
    assert all(login.password not in repr(login) for login in logins)
