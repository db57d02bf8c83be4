"""Promises 31 to 33: money is whole, is spent once, and moves in both directions at once without anybody's error."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leyden.data import Database, DataSettings
from leyden.testing import LiveServer

AT_ONCE = 40
BEGIN = 100_000
NO_AMOUNTS = ("NaN", "Infinity", "-Infinity", "1e400", "-1", "0", "0.1", "10.0", "9007199254740992", '"10"', "null")
CHEAP_HASHES = {"auth__hash_memory": 1024, "auth__hash_time": 1, "auth__hash_lanes": 1}


@dataclass(frozen=True)
class Person:
    client: httpx2.AsyncClient
    wallet: str

    async def balance(self) -> int:
        return int((await self.client.get("/api/wallet")).json()["balance"])

    async def send(self, to: "Person", amount: int, reference: str | None = None) -> httpx2.Response:
        order = {"to": to.wallet, "amount": amount, "reference": reference or str(uuid.uuid4())}
        return await self.client.post("/api/wallet/transfers", json=order)


@pytest.fixture
async def people(
    serve: Callable[..., LiveServer],
    leyden: Callable[..., str],
    variables: Callable[..., dict[str, str]],
    sign_in: Callable[..., Any],
    database_url: str,
) -> AsyncIterator[list[Person]]:
    """Three with a wallet each, on two workers; all but the last have been granted money."""
    server = serve(database_url, workers=2, data__pool_timeout=10, **CHEAP_HASHES)
    async with AsyncExitStack() as stack:
        found = []
        for name in ("ada", "bob", "eve"):
            client = await stack.enter_async_context(server.client(timeout=60))
            await sign_in(client, f"{name}@example.com")
            found.append(Person(client, (await client.get("/api/wallet")).json()["id"]))
        grants = [("wallet", "grant", f"{name}@example.com", str(BEGIN)) for name in ("ada", "bob")]
        env = variables(database_url)
        said = await asyncio.gather(*(asyncio.to_thread(leyden, *words, env=env) for words in grants))
        assert all(f"balance is {BEGIN}" in words for words in said)
        yield found


async def test_money_is_whole_is_spent_once_and_is_never_lost(people: list[Person], database_url: str) -> None:
    ada, bob, eve = people
    await whole_cents_only(ada, bob)
    assert [await one.balance() for one in people] == [BEGIN, BEGIN, 0]

    begun = asyncio.get_running_loop().time()
    storm = [who.send(to, 1 + number) for number in range(AT_ONCE) for who, to in ((ada, bob), (bob, ada))]
    answers = await asyncio.gather(*storm)
    assert Counter(answer.status_code for answer in answers) == {201: 2 * AT_ONCE}
    assert asyncio.get_running_loop().time() - begun < 10

    rest = await ada.balance()
    half = rest // 2 + 1
    spent = await asyncio.gather(*(ada.send(eve, half) for _ in range(AT_ONCE)))
    assert Counter(answer.status_code for answer in spent) == {201: 1, 409: AT_ONCE - 1}
    assert {answer.json()["code"] for answer in spent if answer.status_code == 409} == {"insufficient_funds"}
    assert await ada.balance() == rest - half

    reference = str(uuid.uuid4())
    repeated = await asyncio.gather(*(bob.send(eve, 10, reference) for _ in range(AT_ONCE)))
    assert Counter(answer.status_code for answer in repeated) == {201: 1, 409: AT_ONCE - 1}
    refused = [answer.json() for answer in repeated if answer.status_code == 409]
    assert {(one["code"], one["errors"][0]["field"]) for one in refused} == {("reference_used", "body.reference")}

    assert sum([await one.balance() for one in people]) == 2 * BEGIN
    await ledger_agrees(database_url, transfers=2 * AT_ONCE + 2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_ten_cents_a_thousand_times_both_ways_are_exactly_nothing(people: list[Person]) -> None:
    ada, bob, _ = people
    for _ in range(1000 // AT_ONCE):
        answers = await asyncio.gather(
            *(who.send(to, 10) for _ in range(AT_ONCE) for who, to in ((ada, bob), (bob, ada)))
        )
        assert {answer.status_code for answer in answers} == {201}
    assert [await one.balance() for one in people] == [BEGIN, BEGIN, 0]


async def whole_cents_only(ada: Person, bob: Person) -> None:
    for amount in NO_AMOUNTS:
        body = f'{{"to": "{bob.wallet}", "amount": {amount}, "reference": "{uuid.uuid4()}"}}'
        refused = await ada.client.post(
            "/api/wallet/transfers", content=body, headers={"Content-Type": "application/json"}
        )
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json"), amount
        assert refused.json()["errors"][0]["field"] == "body.amount"


async def ledger_agrees(url: str, *, transfers: int) -> None:
    """Every balance is what came in less what went out, and no row is missing or too many."""
    came = "SELECT coalesce(sum(amount), 0) FROM wallet_transfers WHERE recipient_id = wallets.id"
    went = "SELECT coalesce(sum(amount), 0) FROM wallet_transfers WHERE sender_id = wallets.id"
    async with Database(DataSettings(url=SecretStr(url))) as database, database.reader() as session:
        rows = await session.execute(text(f"SELECT balance, ({came}) - ({went}) FROM wallets"))  # noqa: S608 -- our own
        assert [balance for balance, told in rows if balance != told] == []
        made = await session.scalar(text("SELECT count(*) FROM wallet_transfers WHERE sender_id IS NOT NULL"))
        assert made == transfers
