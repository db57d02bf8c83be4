import asyncio
import logging
import uuid
from typing import Any

import pytest
from httpx2 import AsyncClient
from leyden.data import Database
from sqlalchemy.ext.asyncio import AsyncSession

from tube.dashboard import parts
from tube.wallet.ledger import grant

pytestmark = pytest.mark.usefixtures("channel")

Headers = dict[str, str]
ADDRESS = "/api/channels/engines/dashboard"


async def publish(client: AsyncClient, headers: Headers, **values: Any) -> None:
    made = await client.post("/api/videos", json={"channel": "engines", "title": "Steam"} | values, headers=headers)
    assert made.status_code == 201, made.text


async def dashboard(client: AsyncClient, headers: Headers) -> dict[str, Any]:
    answer = await client.get(ADDRESS, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_owner_sees_videos_tags_and_money_at_a_glance(
    client: AsyncClient, database: Database, ada: Headers, bob: Headers
) -> None:
    empty = await dashboard(client, ada)
    assert empty["videos"] == {"public": 0, "unlisted": 0, "private": 0}
    assert (empty["newest"], empty["tags"], empty["missing"]) == ([], [], [])
    assert empty["money"] == {"balance": 0, "currency": "EUR", "received": 0, "sent": 0}

    for number in range(6):
        await publish(client, ada, title=f"Number {number}", tags=["iron", f"n{number}"])
    await publish(client, ada, title="Secret", visibility="private")
    async with database.session() as session:
        await grant(session, uuid.UUID((await client.get("/api/auth/me", headers=ada)).json()["id"]), 500)
    to = (await client.get("/api/wallet", headers=bob)).json()["id"]
    order = {"to": to, "amount": 120, "reference": str(uuid.uuid4())}
    assert (await client.post("/api/wallet/transfers", json=order, headers=ada)).status_code == 201

    found = await dashboard(client, ada)
    assert found["channel"]["handle"] == "engines"
    assert found["videos"] == {"public": 6, "unlisted": 0, "private": 1}
    assert [video["title"] for video in found["newest"]] == ["Secret", *(f"Number {n}" for n in (5, 4, 3, 2))]
    assert found["tags"][:2] == [{"name": "iron", "videos": 6}, {"name": "n0", "videos": 1}]
    assert found["money"] == {"balance": 380, "currency": "EUR", "received": 500, "sent": 120}
    assert found["missing"] == []


async def test_a_dashboard_is_its_owners(client: AsyncClient, ada: Headers, bob: Headers) -> None:
    assert (await client.get(ADDRESS, headers=bob)).status_code == 403
    assert (await client.get(ADDRESS)).status_code == 401
    assert (await client.get("/api/channels/nowhere/dashboard", headers=ada)).status_code == 404


async def test_parts_that_are_late_or_fail_are_null_and_the_others_are_there(
    client: AsyncClient, ada: Headers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def late(_session: AsyncSession, _subject: parts.Subject) -> None:
        await asyncio.sleep(60)

    async def broken(_session: AsyncSession, _subject: parts.Subject) -> None:
        raise RuntimeError("no such thing")

    await publish(client, ada)
    monkeypatch.setattr(parts, "DEADLINE", 0.2)
    monkeypatch.setattr(parts, "PARTS", parts.PARTS | {"tags": late, "money": broken})
    with caplog.at_level(logging.ERROR):
        found = await dashboard(client, ada)

    assert found["videos"] == {"public": 1, "unlisted": 0, "private": 0}
    assert [video["title"] for video in found["newest"]] == ["Steam"]
    assert (found["tags"], found["money"]) == (None, None)
    assert found["missing"] == [{"part": "tags", "reason": "late"}, {"part": "money", "reason": "failed"}]
    assert "no such thing" in caplog.text


async def test_every_part_has_a_session_of_its_own(
    client: AsyncClient, ada: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = []

    async def remember(session: AsyncSession, _subject: parts.Subject) -> None:
        sessions.append(session)

    monkeypatch.setattr(parts, "PARTS", dict.fromkeys(parts.PARTS, remember))
    await dashboard(client, ada)
    assert len({id(session) for session in sessions}) == len(parts.PARTS)
