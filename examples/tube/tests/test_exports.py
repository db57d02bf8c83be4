import csv
import io
import json
import uuid
from typing import Any

from httpx2 import AsyncClient
from leyden.data import Database

from tube.wallet.ledger import grant

Headers = dict[str, str]


async def lines(client: AsyncClient, address: str, headers: Headers) -> list[dict[str, Any]]:
    answer = await client.get(address, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl")
    return [json.loads(line) for line in answer.text.splitlines()]


async def table(client: AsyncClient, address: str, headers: Headers) -> list[dict[str, str]]:
    answer = await client.get(address, params={"format": "csv"}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_an_owner_takes_all_videos_home(client: AsyncClient, ada: Headers, bob: Headers, channel: str) -> None:
    new = {"channel": channel, "title": '=1+1, "quoted"', "description": "two\nlines", "tags": ["b", "über"]}
    first = (await client.post("/api/videos", json=new, headers=ada)).json()
    second = {"channel": channel, "title": "Secret", "visibility": "private"}
    assert (await client.post("/api/videos", json=second, headers=ada)).status_code == 201

    exported = await lines(client, "/api/videos/export", ada)
    assert exported[0] == first | {"channel": channel}
    assert [(one["title"], one["tags"]) for one in exported] == [(new["title"], ["b", "über"]), ("Secret", [])]

    rows = await table(client, "/api/videos/export", ada)
    assert (rows[0]["title"], rows[0]["description"]) == (f"'{new['title']}", "two\nlines")  # no spreadsheet runs it
    assert (rows[0]["id"], rows[1]["visibility"]) == (first["id"], "private")
    assert await lines(client, "/api/videos/export", bob) == []


async def test_a_ledger_is_exported_as_the_api_tells_it(
    client: AsyncClient, database: Database, ada: Headers, bob: Headers
) -> None:
    async with database.session() as session:
        await grant(session, uuid.UUID((await client.get("/api/auth/me", headers=ada)).json()["id"]), 500)
    order = {"to": (await client.get("/api/wallet", headers=bob)).json()["id"], "amount": 120}
    sent = await client.post("/api/wallet/transfers", json=order | {"reference": str(uuid.uuid4())}, headers=ada)

    listed = (await client.get("/api/wallet/transfers", headers=ada)).json()["items"]
    assert await lines(client, "/api/wallet/transfers/export", ada) == listed[::-1]
    rows = await table(client, "/api/wallet/transfers/export", ada)
    assert [(row["from"], row["amount"]) for row in rows] == [("", "500"), (sent.json()["from"], "120")]
    assert await lines(client, "/api/wallet/transfers/export", bob) == [sent.json()]


async def test_exports_are_files_for_those_who_are_signed_in(client: AsyncClient, ada: Headers) -> None:
    for address, name in (("/api/videos/export", "videos"), ("/api/wallet/transfers/export", "transfers")):
        assert (await client.get(address)).status_code == 401
        assert (await client.get(address, params={"format": "xml"}, headers=ada)).status_code == 422
        for kind in ("jsonl", "csv"):
            answer = await client.get(address, params={"format": kind}, headers=ada)
            assert f"{name}.{kind}" in answer.headers["content-disposition"]
