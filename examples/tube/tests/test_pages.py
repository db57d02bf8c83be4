import re
from typing import Any

import pytest
from httpx2 import AsyncClient

pytestmark = pytest.mark.usefixtures("channel")

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
NOBODY = "00000000-0000-0000-0000-000000000000"
EVIL = "<script>alert(1)</script>"

Headers = dict[str, str]


async def publish(client: AsyncClient, headers: Headers, **fields: Any) -> str:
    answer = await client.post("/api/videos", json={"channel": "engines", "title": "Steam"} | fields, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def page(client: AsyncClient, address: str, **headers: str) -> str:
    answer = await client.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def titles(page: str) -> list[str]:
    return re.findall(r'class="card-link"[^>]*>([^<]*)<', page)


async def test_the_home_page_shows_public_videos_newest_first(client: AsyncClient, ada: Headers) -> None:
    assert "Nothing here yet" in await page(client, "/")
    await publish(client, ada, title="First")
    await publish(client, ada, title="Second")
    await publish(client, ada, title="Hidden", visibility="unlisted")
    await publish(client, ada, title="Secret", visibility="private")
    home = await page(client, "/")
    assert titles(home) == ["Second", "First"]
    assert "<title>Tube</title>" in home
    assert "2 videos" in home


async def test_the_home_page_searches_filters_and_turns_pages(client: AsyncClient, ada: Headers) -> None:
    for number in range(13):
        await publish(client, ada, title=f"Engine {number}", tags=["iron"] if number else ["brass & tin"])
    assert titles(await page(client, "/?q=engine+12")) == ["Engine 12"]
    assert titles(await page(client, "/?tag=brass+%26+tin")) == ["Engine 0"]
    assert '"/?tag=brass+%26+tin"' in await page(client, "/")
    first, second = await page(client, "/?q=engine"), await page(client, "/?q=engine&amp;page=2")
    assert len(titles(first)) == 12
    assert 'href="/?q=engine&amp;page=2"' in first
    assert titles(await page(client, "/?q=engine&page=2")) == ["Engine 0"]
    assert titles(second) == titles(first)  # an address that was mangled shows something all the same
    assert "No video matches" in await page(client, "/?q=nothing")


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page=" + "9" * 200, "q=%00", "q=%ff", "tag=" + "x" * 500, "lang=xx"]
)
async def test_a_mistyped_address_shows_a_page(client: AsyncClient, query: str) -> None:
    assert "Tube" in await page(client, f"/?{query}")


async def test_a_video_page_tells_what_it_is_about(client: AsyncClient, ada: Headers) -> None:
    first = await publish(client, ada, title="Steam", description="Hot water.", tags=["valves"])
    await publish(client, ada, title="Another")
    text = await page(client, f"/videos/{first}")
    assert "<title>Steam · Tube</title>" in text
    assert "Hot water." in text
    assert 'href="/?tag=valves"' in text
    assert titles(text) == ["Another"]


async def test_a_channel_page_lists_its_videos(client: AsyncClient, ada: Headers) -> None:
    await publish(client, ada, title="Steam")
    text = await page(client, "/@Engines")
    assert "<title>Engines · Tube</title>" in text
    assert titles(text) == ["Steam"]


async def test_what_people_write_is_text_and_never_markup(client: AsyncClient, ada: Headers) -> None:
    await client.patch("/api/channels/engines", json={"title": EVIL, "description": EVIL}, headers=ada)
    video = await publish(client, ada, title=EVIL, description=EVIL, tags=[EVIL, '"><img src=x>'])
    for address in ("/", f"/videos/{video}", "/@engines", f"/?q={EVIL}", f"/?tag={EVIL}", '/?q="><img src=x>'):
        text = await page(client, address)
        assert "<script" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;" in text or "&lt;img" in text


async def test_the_language_is_the_browsers_until_one_is_chosen(client: AsyncClient) -> None:
    assert "最新视频" in await page(client, "/", **{"Accept-Language": "fr, zh-CN;q=0.8, en;q=0.5"})
    assert "Newest videos" in await page(client, "/", **{"Accept-Language": "fr"})
    chosen = await client.get("/?lang=zh", headers={"Accept-Language": "en"})
    assert chosen.headers["content-language"] == "zh"
    assert '<html lang="zh">' in chosen.text
    assert "最新视频" in await page(client, "/", **{"Accept-Language": "en"})  # remembered in a cookie
    assert "Newest videos" in await page(client, "/?lang=en")


async def test_what_is_missing_is_a_page_for_people_and_a_problem_for_programs(
    client: AsyncClient, ada: Headers
) -> None:
    private = await publish(client, ada, visibility="private")
    for address in ("/nowhere", f"/videos/{NOBODY}", f"/videos/{private}", "/@nobody", "/static/nothing.css"):
        answer = await client.get(address, headers=BROWSER)
        assert answer.status_code == 404
        assert "Page not found" in answer.text
        problem = await client.get(address, headers={"Accept": "application/json"})
        assert (problem.status_code, problem.json()["code"]) == (404, "not_found")
    api = await client.get("/api/nowhere", headers=BROWSER)
    assert (api.status_code, api.headers["content-type"]) == (404, "application/problem+json")
    chinese = await client.get("/nowhere", headers=BROWSER | {"Accept-Language": "zh"})
    assert "找不到页面" in chinese.text


async def test_no_address_makes_a_page_link_to_another_host(client: AsyncClient) -> None:
    answer = await client.get("http://localhost//evil.example/path", headers=BROWSER)
    assert answer.status_code == 404
    assert 'href="//' not in answer.text


async def test_pages_allow_no_script_and_nothing_from_elsewhere(client: AsyncClient) -> None:
    policy = (await client.get("/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_pictures_and_files_are_there_and_may_be_kept(client: AsyncClient) -> None:
    picture = await client.get(f"/thumbnails/{NOBODY}.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "immutable" in picture.headers["cache-control"]
    assert picture.text == (await client.get(f"/thumbnails/{NOBODY}.svg")).text
    assert (await client.head("/")).status_code == 200
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', await page(client, "/"))
    assert addresses
    for address in addresses:
        assert (await client.get(address)).status_code == 200
