"""Everything a user does with Tube in a first hour, on each database, with one worker and with two."""

from collections.abc import Callable
from typing import Any

from leyden.testing import LiveServer

Serve = Callable[..., LiveServer]


async def test_accounts_channels_and_videos_from_registration_to_logout(
    serve: Serve, sign_in: Callable[..., Any], database_url: str, workers: int
) -> None:
    server = serve(database_url, workers=workers)
    async with server.client(timeout=30) as ada, server.client(timeout=30) as bob, server.client(timeout=30) as anyone:
        tokens = await sign_in(ada, "ada@example.com")
        await sign_in(bob, "bob@example.com")
        made = await ada.post("/api/channels", json={"handle": "Engines", "title": "Engines 蒸汽 🚂"})
        assert (made.status_code, made.json()["handle"]) == (201, "engines")
        assert (await anyone.get("/api/channels/engines")).json() == made.json()  # read at once, by any worker
        assert (await bob.patch("/api/channels/engines", json={"title": "Mine"})).status_code == 403

        new = {"channel": "engines", "title": "Steam 🚂 100%", "tags": ["🚂", "🚃", "iron"], "visibility": "private"}
        video = (await ada.post("/api/videos", json=new)).json()
        address = f"/api/videos/{video['id']}"
        assert video["tags"] == sorted(new["tags"])
        assert [(await who.get(address)).status_code for who in (ada, bob, anyone)] == [200, 404, 404]
        published = await ada.patch(address, json={"visibility": "public"})
        assert published.json() | {"updated_at": 0} == video | {"visibility": "public", "updated_at": 0}
        for query in ({"q": "STEAM"}, {"q": "0%"}, {"tag": "🚂"}, {"channel": "ENGINES"}, {"q": "iron"}):
            assert (await anyone.get("/api/videos", params=query)).json()["total"] == 1, query
        for query in ({"q": "%m"}, {"tag": "🚀"}, {"channel": "nobody"}):
            assert (await anyone.get("/api/videos", params=query)).json()["total"] == 0, query
        assert "Steam 🚂 100%" in (await anyone.get("/")).text
        assert (await bob.delete(address)).status_code == 403
        assert (await ada.delete(address)).status_code == 204
        assert (await anyone.get(address)).status_code == 404

        await refresh_and_leave(ada, tokens)
        assert (await bob.get("/api/auth/me")).json()["email"] == "bob@example.com"


async def refresh_and_leave(client: Any, tokens: dict[str, Any]) -> None:
    renewed = await client.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 200
    client.headers["Authorization"] = f"Bearer {renewed.json()['access_token']}"
    assert (await client.get("/api/auth/me")).json()["email"] == "ada@example.com"
    assert (await client.post("/api/auth/logout")).status_code == 204
    assert (await client.get("/api/auth/me")).status_code == 401
    late = await client.post("/api/auth/refresh", json={"refresh_token": renewed.json()["refresh_token"]})
    assert late.status_code == 401
