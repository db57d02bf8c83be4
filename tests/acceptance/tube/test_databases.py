"""What Tube asks of a database gives the same on SQLite, PostgreSQL and MariaDB: who sees what, search, pages, schema."""

import csv
import json
from collections.abc import AsyncIterator, Callable
from io import StringIO
from typing import Any

import httpx2
import pytest

from leyden.testing import LiveServer

Ask = Callable[..., Any]


@pytest.fixture
async def client(serve: Callable[..., LiveServer], database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A visitor of a Tube on two workers: nothing that is remembered in a process can help."""
    async with serve(database_url, workers=2).client(timeout=30) as visitor:
        yield visitor


async def test_who_sees_what_search_and_pages_are_the_same_on_every_database(
    client: httpx2.AsyncClient, sign_in: Ask
) -> None:
    async with (
        httpx2.AsyncClient(base_url=client.base_url, timeout=30) as ada,
        httpx2.AsyncClient(base_url=client.base_url, timeout=30) as bob,
    ):
        for who, email in ((ada, "ada@example.com"), (bob, "bob@example.com")):
            await sign_in(who, email)
        await see_and_change(ada, bob, client)
        await search(ada, client)
        await pages(client)
        await many_at_once(ada, bob)
        await scroll(ada, client)
        await exports(ada)


async def see_and_change(ada: httpx2.AsyncClient, bob: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    await make_channel(ada, "matrix")
    for visibility, seen in (("public", True), ("unlisted", True), ("private", False)):
        video = await make(ada, "matrix", title=visibility, visibility=visibility)
        address = f"/api/videos/{video['id']}"
        assert [(await who.get(address)).status_code for who in (ada, bob, visitor)] == [
            200,
            *[200 if seen else 404] * 2,
        ]
        assert (await bob.patch(address, json={"title": "Mine"})).status_code == (403 if seen else 404)
        assert (await bob.delete(address)).status_code == (403 if seen else 404)
        assert (await visitor.delete(address)).status_code == 401
        page = await visitor.get(f"/videos/{video['id']}", headers={"Accept": "text/html"})
        assert page.status_code == (200 if seen else 404)
    assert await titles(visitor, channel="matrix") == await titles(bob, channel="matrix") == ["public"]
    assert await titles(ada, channel="matrix") == ["private", "unlisted", "public"]


async def search(ada: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    await make_channel(ada, "words")
    await make(ada, "words", title="50% Rye", description="Line one\nline TWO", tags=["Sour dough", "🥖"])
    await make(ada, "words", title="snake_case", description="C:\\path 'quoted' \"twice\"", tags=["🥐"])
    await make(ada, "words", title="手工水饺", description="从和面到出锅", tags=["面食"])
    await make(ada, "words", title="Über allen Gipfeln", description="ist Ruh")
    expected = {
        "RYE": ["50% Rye"],
        "two 50%": ["50% Rye"],
        "DOUGH": ["50% Rye"],
        "0% R": ["50% Rye"],
        "5_%": [],
        "e_c": ["snake_case"],
        "ee_c": [],
        "\\p": ["snake_case"],
        "'quoted'": ["snake_case"],
        "über": ["Über allen Gipfeln"],
        "GIPFEL ruh": ["Über allen Gipfeln"],
        "'; DROP TABLE videos; --": [],
        "水饺": ["手工水饺"],
        "和面 面食": ["手工水饺"],
    }
    assert {words: await titles(visitor, q=words, channel="words") for words in expected} == expected
    assert await titles(visitor, tag="🥖") == ["50% Rye"]  # and not what has another emoji
    assert await titles(visitor, tag="SOUR DOUGH") == ["50% Rye"]


async def pages(visitor: httpx2.AsyncClient) -> None:
    for path, shown in (
        ("/", "snake_case"),
        ("/?q=水饺", "手工水饺"),
        ("/?tag=面食", "手工水饺"),
        ("/@words", "50% Rye"),
    ):
        page = await visitor.get(path)
        assert page.status_code == 200, page.text
        assert shown in page.text


async def many_at_once(ada: httpx2.AsyncClient, bob: httpx2.AsyncClient) -> None:
    await make_channel(ada, "many")
    await make_channel(bob, "bobs")
    handles = ["many", "bobs", "nowhere"] * 5
    new = [{"channel": handle, "title": f"{place:02}", "tags": ["x", "y"]} for place, handle in enumerate(handles)]
    answer = await ada.post("/api/videos/batch", json={"videos": new})
    assert answer.status_code == 200, answer.text
    assert [one["status"] for one in answer.json()] == [201, 403, 404] * 5
    assert await titles(ada, channel="many", sort="title") == [f"{place:02}" for place in range(0, 15, 3)]
    assert await titles(bob, channel="bobs") == []


async def scroll(ada: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    for sort in ("title", "-title", "created_at", "-updated_at"):
        asked = {"sort": sort, "size": "2", "channel": "many"}
        seen: list[str] = []
        page = (await visitor.get("/api/videos/feed", params=asked)).json()
        while True:
            seen += [video["title"] for video in page["items"]]
            if page["next"] is None:
                break
            page = (await visitor.get("/api/videos/feed", params=asked | {"cursor": page["next"]})).json()
        assert seen == await titles(visitor, channel="many", sort=sort)
        assert len(seen) == 5
        back = asked | {"cursor": page["previous"]}
        assert [one["title"] for one in (await visitor.get("/api/videos/feed", params=back)).json()["items"]] == seen[
            2:4
        ]
        assert (await ada.get("/api/videos/feed", params=back)).status_code == 400


async def exports(ada: httpx2.AsyncClient) -> None:
    listed = (await ada.get("/api/videos", params={"size": 100, "sort": "created_at"})).json()["items"]
    flat = {video["id"]: video | {"channel": video["channel"]["handle"]} for video in listed}
    exported = [json.loads(line) for line in (await ada.get("/api/videos/export")).text.splitlines()]
    assert {video["id"]: video for video in exported} == flat
    rows = list(csv.DictReader(StringIO((await ada.get("/api/videos/export?format=csv")).text, newline="")))
    assert {row["id"]: sorted(row["tags"].split()) for row in rows if row["channel"] == "many"} == {
        video["id"]: ["x", "y"] for video in exported if video["channel"] == "many"
    }


async def make_channel(owner: httpx2.AsyncClient, handle: str) -> None:
    made = await owner.post("/api/channels", json={"handle": handle, "title": handle.title()})
    assert made.status_code == 201, made.text


async def make(owner: httpx2.AsyncClient, channel: str, **values: Any) -> dict[str, Any]:
    made = await owner.post("/api/videos", json={"channel": channel} | values)
    assert made.status_code == 201, made.text
    video: dict[str, Any] = made.json()
    return video


async def titles(who: httpx2.AsyncClient, **asked: str) -> list[str]:
    found = await who.get("/api/videos", params=asked)
    assert found.status_code == 200, found.text
    return [video["title"] for video in found.json()["items"]]


def test_migrations_add_up_to_the_models_and_can_be_taken_back(
    leyden: Ask, variables: Callable[..., dict[str, str]], database_url: str
) -> None:
    env = variables(database_url)
    leyden("db", "upgrade", env=env)
    leyden("db", "check", env=env)
    leyden("db", "downgrade", "base", "--yes", env=env)
    leyden("db", "upgrade", env=env)
    leyden("db", "check", env=env)
