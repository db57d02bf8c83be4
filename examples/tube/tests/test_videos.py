import uuid
from typing import Any

import pytest
from httpx2 import AsyncClient
from leyden.data import Database
from sqlalchemy import event

Headers = dict[str, str]


async def make(client: AsyncClient, headers: Headers, channel: str, **values: Any) -> dict[str, Any]:
    made = await client.post("/api/videos", json={"channel": channel, "title": "A film"} | values, headers=headers)
    assert made.status_code == 201, made.text
    video: dict[str, Any] = made.json()
    return video


async def found(client: AsyncClient, headers: Headers | None = None, **asked: Any) -> list[str]:
    page = await client.get("/api/videos", params=asked, headers=headers)
    assert page.status_code == 200, page.text
    return [video["title"] for video in page.json()["items"]]


async def test_a_video_is_made_read_changed_and_deleted(client: AsyncClient, ada: Headers, channel: str) -> None:
    made = await make(client, ada, channel, description="Long", tags=["Night", "sky", "night "])
    assert made["channel"] == {"handle": channel, "title": "Engines"}
    assert (made["tags"], made["visibility"]) == (["night", "sky"], "public")
    address = f"/api/videos/{made['id']}"

    changed = (await client.patch(address, json={"tags": ["sky", "moon"]}, headers=ada)).json()
    assert changed["updated_at"] > made["updated_at"]
    assert changed == made | {"tags": ["moon", "sky"], "updated_at": changed["updated_at"]}
    assert (await client.get(address)).json() == changed

    assert (await client.patch(address, json={"tags": []}, headers=ada)).json()["tags"] == []
    assert (await client.delete(address, headers=ada)).status_code == 204
    assert (await client.get(address, headers=ada)).status_code == 404


@pytest.mark.parametrize("visibility", ["public", "unlisted", "private"])
async def test_who_may_see_list_and_change_a_video(
    client: AsyncClient, ada: Headers, bob: Headers, channel: str, visibility: str
) -> None:
    video = await make(client, ada, channel, visibility=visibility)
    address, seen, listed = f"/api/videos/{video['id']}", visibility != "private", visibility == "public"

    assert (await client.get(address)).status_code == (200 if seen else 404)
    assert (await client.get(address, headers=bob)).status_code == (200 if seen else 404)
    assert (await client.get(address, headers=ada)).status_code == 200

    assert await found(client) == (["A film"] if listed else [])
    assert await found(client, bob, q="film", channel=channel) == (["A film"] if listed else [])
    assert await found(client, ada) == ["A film"]

    for request in (client.patch(address, json={"title": "Bob's"}, headers=bob), client.delete(address, headers=bob)):
        assert (await request).status_code == (403 if seen else 404)
    assert (await client.patch(address, json={"title": "Anybody's"})).status_code == 401
    assert (await client.patch(address, json={"title": "Ada's"}, headers=ada)).status_code == 200


async def test_a_video_is_made_on_ones_own_channel_only(client: AsyncClient, bob: Headers, channel: str) -> None:
    for handle, status in ((channel, 403), ("nowhere", 404), ("no such handle", 422)):
        refused = await client.post("/api/videos", json={"channel": handle, "title": "A film"}, headers=bob)
        assert refused.status_code == status, handle
    assert (await client.post("/api/videos", json={"channel": channel, "title": "A film"})).status_code == 401


async def test_videos_are_found_by_words_tag_and_channel(client: AsyncClient, ada: Headers, channel: str) -> None:
    await client.post("/api/channels", json={"handle": "second", "title": "Second"}, headers=ada)
    await make(client, ada, channel, title="Rye BREAD", description="Cut it on the second day", tags=["sourdough"])
    await make(client, ada, "second", title="100% rye", tags=["bread"])
    await make(client, ada, "second", title="红烧肉", tags=["家常菜"])

    assert await found(client, q="bread") == ["100% rye", "Rye BREAD"]
    assert await found(client, q="DAY rye") == ["Rye BREAD"]
    assert await found(client, q="sour") == ["Rye BREAD"]
    assert await found(client, q="烧肉") == await found(client, q="家常") == ["红烧肉"]
    await make(client, ada, channel, title="Über den Wolken", tags=["Ärger"])
    assert await found(client, q="über") == await found(client, q="ÄRGER wolken") == ["Über den Wolken"]
    assert await found(client, q="%") == ["100% rye"]
    assert await found(client, q="_") == await found(client, q="\\") == []
    assert await found(client, tag=" Bread ") == ["100% rye"]
    assert await found(client, tag="brea") == []
    assert await found(client, q="rye", channel="SECOND") == ["100% rye"]


async def test_videos_come_in_pages_newest_first(client: AsyncClient, ada: Headers, channel: str) -> None:
    for number in range(5):
        await make(client, ada, channel, title=f"Number {number}")

    page = (await client.get("/api/videos", params={"size": 2, "page": 2})).json()

    assert [video["title"] for video in page["items"]] == ["Number 2", "Number 1"]
    assert (page["page"], page["size"], page["total"], page["pages"]) == (2, 2, 5, 3)


async def test_a_list_takes_as_many_queries_for_twenty_videos_as_for_two(
    client: AsyncClient, database: Database, ada: Headers, channel: str
) -> None:
    statements: list[str] = []
    event.listen(
        database.readers.sync_engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    counts = []
    for wanted in (2, 20):
        for number in range(wanted):
            await make(client, ada, channel, title=f"Number {number}", tags=[f"a{number}", f"b{number}"])
        statements.clear()
        await client.get("/api/videos", params={"size": 50})
        counts.append(sum(statement.startswith("SELECT") for statement in statements))

    assert counts == [3, 3], statements  # how many, the videos with their channels, their tags


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": None},
        {"tags": ["x" * 31]},
        {"tags": [str(number) for number in range(11)]},
        {"visibility": "secret"},
        {"channel": "another"},
        {"id": str(uuid.UUID(int=1))},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_change_that_makes_no_sense_is_refused(
    client: AsyncClient, ada: Headers, channel: str, wrong: dict[str, Any]
) -> None:
    video = await make(client, ada, channel)

    assert (await client.patch(f"/api/videos/{video['id']}", json=wrong, headers=ada)).status_code == 422


async def test_many_videos_are_made_at_once_and_each_has_an_outcome(
    client: AsyncClient, ada: Headers, bob: Headers, channel: str
) -> None:
    await client.post("/api/channels", json={"handle": "bobs", "title": "Bob's"}, headers=bob)
    new = [
        {"channel": channel, "title": "First", "tags": ["b", "a"]},
        {"channel": "nowhere", "title": "Lost"},
        {"channel": "bobs", "title": "Foreign"},
        {"channel": channel, "title": "Last", "visibility": "private"},
    ]

    answer = await client.post("/api/videos/batch", json={"videos": new}, headers=ada)

    assert answer.status_code == 200, answer.text
    outcomes = answer.json()
    assert [(one["index"], one["status"]) for one in outcomes] == [(0, 201), (1, 404), (2, 403), (3, 201)]
    assert [one["problem"]["code"] for one in outcomes if "problem" in one] == ["not_found", "not_yours"]
    assert (outcomes[0]["value"]["title"], outcomes[0]["value"]["tags"]) == ("First", ["a", "b"])
    assert await found(client, ada) == ["Last", "First"]
    assert (await client.get(f"/api/videos/{outcomes[3]['value']['id']}", headers=ada)).json() == outcomes[3]["value"]


async def test_a_batch_is_refused_whole_where_it_cannot_be_read(
    client: AsyncClient, ada: Headers, channel: str
) -> None:
    good = {"channel": channel, "title": "Good"}
    for wrong, field in (
        ([], "body.videos"),
        ([good] * 101, "body.videos"),
        ([good, good | {"title": ""}], "body.videos.1.title"),
        ([good, good | {"id": str(uuid.UUID(int=1))}], "body.videos.1.id"),
    ):
        refused = await client.post("/api/videos/batch", json={"videos": wrong}, headers=ada)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert (await client.post("/api/videos/batch", json={"videos": [good]})).status_code == 401
    assert await found(client, ada) == []


async def test_videos_are_scrolled_through_while_others_are_published(
    client: AsyncClient, ada: Headers, bob: Headers, channel: str
) -> None:
    for number in range(5):
        await make(client, ada, channel, title=f"Number {number}")
    seen, cursor = [], None
    while True:
        asked = {"size": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/videos/feed", params=asked)).json()
        seen += [video["title"] for video in page["items"]]
        if (cursor := page["next"]) is None:
            break
        await make(client, ada, channel, title="Newer")
        back = page["previous"]
    assert seen == [f"Number {number}" for number in (4, 3, 2, 1, 0)]

    for wrong, headers in ((f"{back[:-1]}x", {}), (back, bob), ("", {})):
        refused = await client.get("/api/videos/feed", params={"size": 2, "cursor": wrong}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_cursor")


async def test_lists_are_sorted_and_filtered_by_what_they_offer(
    client: AsyncClient, ada: Headers, channel: str
) -> None:
    for title, visibility in (("b", "public"), ("c", "private"), ("a", "public")):
        await make(client, ada, channel, title=title, visibility=visibility)

    assert await found(client, ada, sort="title") == ["a", "b", "c"]
    assert await found(client, ada, sort="-title", size=2) == ["c", "b"]
    assert await found(client, ada, visibility="private") == ["c"]
    assert await found(client, visibility="private") == []
    assert await found(client, ada, created_at__lt="2020-01-01T00:00:00Z") == []
    feed = (await client.get("/api/videos/feed?sort=title&visibility=public", headers=ada)).json()
    assert [video["title"] for video in feed["items"]] == ["a", "b"]

    for path in ("/api/videos", "/api/videos/feed"):
        for wrong in ("sort=titel", "sort=owner_id", "visibility=secret", "size=1000000000", "titel=a"):
            refused = await client.get(f"{path}?{wrong}")
            assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json"), wrong
