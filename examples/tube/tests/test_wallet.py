import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from leyden.auth import User
from leyden.data import Database
from sqlalchemy import delete, func, select

from tube.wallet.ledger import grant
from tube.wallet.models import MOST, Transfer, Wallet

Headers = dict[str, str]
Give = Callable[[Headers, int], Awaitable[str]]


@pytest.fixture
def give(client: AsyncClient, database: Database) -> Give:
    """Put money into somebody's wallet; returns its id."""

    async def give(who: Headers, amount: int) -> str:
        account = (await client.get("/api/auth/me", headers=who)).json()["id"]
        async with database.session() as session:
            return str((await grant(session, uuid.UUID(account), amount)).id)

    return give


async def send(client: AsyncClient, who: Headers, to: str, amount: Any, **more: Any) -> Response:
    order = {"to": to, "amount": amount, "reference": str(uuid.uuid4())} | more
    return await client.post("/api/wallet/transfers", json=order, headers=who)


async def wallet(client: AsyncClient, who: Headers) -> dict[str, Any]:
    answer = await client.get("/api/wallet", headers=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_everybody_has_a_wallet_and_it_begins_empty(client: AsyncClient, ada: Headers, bob: Headers) -> None:
    mine = await wallet(client, ada)
    assert mine == {"id": mine["id"], "balance": 0, "currency": "EUR"}
    assert await wallet(client, ada) == mine
    assert (await wallet(client, bob))["id"] != mine["id"]
    assert (await client.get("/api/wallet")).status_code == 401


async def test_a_wallet_that_many_ask_for_first_is_made_once(client: AsyncClient, ada: Headers) -> None:
    found = await asyncio.gather(*(wallet(client, ada) for _ in range(20)))
    assert len({one["id"] for one in found}) == 1


async def test_money_moves_and_both_see_it_in_their_ledger(
    client: AsyncClient, ada: Headers, bob: Headers, give: Give
) -> None:
    mine, theirs = await give(ada, 1_000), (await wallet(client, bob))["id"]
    reference = str(uuid.uuid4())

    sent = await send(client, ada, theirs, 250, reference=reference)

    assert sent.status_code == 201, sent.text
    transfer = sent.json()
    assert transfer == {
        "id": transfer["id"],
        "reference": reference,
        "from": mine,
        "to": theirs,
        "amount": 250,
        "currency": "EUR",
        "created_at": transfer["created_at"],
    }
    assert (await wallet(client, ada))["balance"] == 750
    assert (await wallet(client, bob))["balance"] == 250
    assert (await client.get("/api/wallet/transfers", headers=bob)).json()["items"] == [transfer]
    newest, oldest = (await client.get("/api/wallet/transfers", headers=ada)).json()["items"]
    assert newest == transfer
    assert (oldest["from"], oldest["to"], oldest["amount"]) == (None, mine, 1_000)


async def test_the_ledger_comes_in_pages_of_ones_own_rows(
    client: AsyncClient, ada: Headers, bob: Headers, give: Give
) -> None:
    await give(ada, 100)
    theirs = (await wallet(client, bob))["id"]
    for amount in range(1, 6):
        assert (await send(client, ada, theirs, amount)).status_code == 201
    cursor, amounts = None, []
    while True:
        asked = {"size": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/wallet/transfers", params=asked, headers=bob)).json()
        amounts += [row["amount"] for row in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert amounts == [5, 4, 3, 2, 1]
    foreign = (await client.get("/api/wallet/transfers?size=2", headers=ada)).json()["next"]
    stolen = await client.get("/api/wallet/transfers", params={"size": 2, "cursor": foreign}, headers=bob)
    assert (stolen.status_code, stolen.json()["code"]) == (400, "invalid_cursor")


async def test_what_is_not_there_cannot_be_sent(client: AsyncClient, ada: Headers, bob: Headers, give: Give) -> None:
    mine, theirs = await give(ada, 100), (await wallet(client, bob))["id"]

    poor = await send(client, ada, theirs, 101)
    nobody = await send(client, ada, str(uuid.uuid4()), 101)
    oneself = await send(client, ada, mine, 1)

    assert (poor.status_code, poor.json()["code"]) == (409, "insufficient_funds")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown_wallet")
    assert (oneself.status_code, oneself.json()["code"]) == (422, "own_wallet")
    assert [field["field"] for field in oneself.json()["errors"]] == ["body.to"]
    assert (await wallet(client, ada))["balance"] == 100
    assert (await wallet(client, bob))["balance"] == 0
    assert (await client.get("/api/wallet/transfers", headers=bob)).json()["items"] == []


async def test_a_reference_is_good_for_one_transfer(
    client: AsyncClient, ada: Headers, bob: Headers, give: Give
) -> None:
    mine, theirs = await give(ada, 100), (await wallet(client, bob))["id"]
    reference = str(uuid.uuid4())
    assert (await send(client, ada, theirs, 100, reference=reference)).status_code == 201

    again = await send(client, ada, theirs, 100, reference=reference)  # also now that the wallet is empty

    assert (again.status_code, again.json()["code"]) == (409, "reference_used")
    assert [field["field"] for field in again.json()["errors"]] == ["body.reference"]
    assert (await wallet(client, bob))["balance"] == 100
    assert (await send(client, bob, mine, 40, reference=reference)).status_code == 201  # another sender's own name


async def test_nobody_spends_from_somebody_elses_wallet(
    client: AsyncClient, ada: Headers, bob: Headers, give: Give
) -> None:
    hers, his = await give(ada, 100), (await wallet(client, bob))["id"]

    for stolen in ({"from": hers}, {"sender": hers}, {"sender_id": hers}):
        assert (await send(client, bob, his, 50, **stolen)).status_code == 422
    assert (await send(client, bob, hers, 50)).status_code == 409
    assert (await client.post("/api/wallet/transfers", json={})).status_code == 401
    assert (await wallet(client, ada))["balance"] == 100


@pytest.mark.parametrize(
    "amount",
    [
        *("NaN", "Infinity", "-Infinity", "1e400", "1e3", "10.0", "0.1", "0", "-1", "9007199254740992", "1" * 400),
        *('"10"', "true", "null", "[]"),
    ],
    ids=lambda amount: amount[:20],
)
async def test_what_is_no_amount_of_money_is_refused(
    client: AsyncClient, ada: Headers, bob: Headers, give: Give, amount: str
) -> None:
    await give(ada, 100)
    to, reference = (await wallet(client, bob))["id"], uuid.uuid4()
    body = f'{{"to": "{to}", "amount": {amount}, "reference": "{reference}"}}'

    refused = await client.post(
        "/api/wallet/transfers", content=body, headers=ada | {"Content-Type": "application/json"}
    )

    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await wallet(client, ada))["balance"] == 100


async def test_a_wallet_has_room_for_so_much_and_no_more(
    client: AsyncClient, ada: Headers, bob: Headers, give: Give
) -> None:
    await give(ada, MOST)
    full = await give(bob, 1)

    refused = await send(client, ada, full, MOST)

    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await wallet(client, ada))["balance"] == MOST


async def test_storms_in_both_directions_move_every_cent_once(
    client: AsyncClient, database: Database, ada: Headers, bob: Headers, give: Give
) -> None:
    hers, his = await give(ada, 100), await give(bob, 100)

    storm = [send(client, who, to, 7) for _ in range(15) for who, to in ((ada, his), (bob, hers))]
    answers = await asyncio.gather(*storm)

    assert {answer.status_code for answer in answers} <= {201, 409}
    made = sum(answer.status_code == 201 for answer in answers)
    async with database.reader() as session:
        assert await session.scalar(select(func.sum(Wallet.balance))) == 200
        sent = select(func.count()).where(Transfer.sender_id.is_not(None))
        assert await session.scalar(sent) == made
    for who, key in ((ada, hers), (bob, his)):
        assert (await wallet(client, who))["balance"] == await ledger_balance(database, key)


async def test_the_ledger_outlives_the_accounts_in_it(
    client: AsyncClient, database: Database, ada: Headers, bob: Headers, give: Give
) -> None:
    await give(ada, 100)
    await send(client, ada, (await wallet(client, bob))["id"], 30)
    async with database.session() as session:
        await session.execute(delete(User))
    async with database.reader() as session:
        assert await session.scalar(select(func.sum(Wallet.balance))) == 100
        assert await session.scalar(select(func.count()).select_from(Transfer)) == 2


async def ledger_balance(database: Database, wallet_id: str) -> int:
    """What came in less what went out."""
    key = uuid.UUID(wallet_id)
    async with database.reader() as session:
        came = await session.scalar(select(func.sum(Transfer.amount)).where(Transfer.recipient_id == key))
        went = await session.scalar(select(func.sum(Transfer.amount)).where(Transfer.sender_id == key))
    return int(came or 0) - int(went or 0)
