from httpx2 import AsyncClient
from leyden.auth import Accounts
from leyden.core import installed, running
from leyden.data import Database
from rich.progress import Progress

from tube.app import app
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
    assert (await client.post("/api/auth/login", data=form)).status_code == 200


async def test_passwords_of_the_demonstration_differ_each_time_and_are_not_in_the_repr(database: Database) -> None:
    logins = await sown(database)
    assert len({login.password for login in logins}) == len(logins) > 1
    assert all(login.password not in repr(login) for login in logins)
