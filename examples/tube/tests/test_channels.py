import pytest
from httpx2 import AsyncClient

Headers = dict[str, str]
NEW = {"handle": "Night-Sky", "title": "  Night sky notes ", "description": "What is up tonight."}


async def test_a_channel_is_made_read_changed_and_deleted(client: AsyncClient, ada: Headers) -> None:
    made = await client.post("/api/channels", json=NEW, headers=ada)
    assert made.status_code == 201, made.text
    assert (made.json()["handle"], made.json()["title"]) == ("night-sky", "Night sky notes")

    changed = await client.patch("/api/channels/night-sky", json={"title": "Night sky"}, headers=ada)
    assert (changed.json()["title"], changed.json()["description"]) == ("Night sky", "What is up tonight.")
    assert (await client.get("/api/channels/NIGHT-SKY")).json() == changed.json()

    deleted = await client.delete("/api/channels/night-sky", headers=ada)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await client.get("/api/channels/night-sky")).status_code == 404


async def test_a_handle_belongs_to_one_channel(client: AsyncClient, ada: Headers, bob: Headers, channel: str) -> None:
    taken = await client.post("/api/channels", json={"handle": "ENGINES", "title": "Mine"}, headers=bob)
    await client.post("/api/channels", json={"handle": "bobs", "title": "Bob's"}, headers=bob)
    renamed = await client.patch("/api/channels/bobs", json={"handle": channel}, headers=bob)

    for refused in (taken, renamed):
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert [error["field"] for error in refused.json()["errors"]] == ["handle"]


async def test_only_its_owner_may_change_a_channel(client: AsyncClient, bob: Headers, channel: str) -> None:
    address = f"/api/channels/{channel}"

    assert (await client.patch(address, json={"title": "Bob's"}, headers=bob)).status_code == 403
    assert (await client.delete(address, headers=bob)).status_code == 403
    assert (await client.delete(address)).status_code == 401
    assert (await client.get(address)).json()["title"] == "Engines"


async def test_a_channel_takes_its_videos_with_it(client: AsyncClient, ada: Headers, channel: str) -> None:
    new = {"channel": channel, "title": "First", "tags": ["one", "two"]}
    video = (await client.post("/api/videos", json=new, headers=ada)).json()

    await client.delete(f"/api/channels/{channel}", headers=ada)

    assert (await client.get(f"/api/videos/{video['id']}", headers=ada)).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"handle": "no"},
        {"handle": "with space"},
        {"handle": "-first"},
        {"handle": "晓月的厨房"},
        {"title": " "},
        {"title": "two\nlines"},
        {"title": "null\x00byte"},
        {"title": "x" * 101},
        {"description": "x" * 5001},
        {"owner_id": "00000000-0000-0000-0000-000000000000"},
    ],
    ids=str,
)
async def test_what_cannot_be_a_channel_is_refused(client: AsyncClient, ada: Headers, wrong: dict[str, str]) -> None:
    refused = await client.post("/api/channels", json=NEW | wrong, headers=ada)

    assert refused.status_code == 422
    assert {error["field"] for error in refused.json()["errors"]} == {f"body.{next(iter(wrong))}"}
