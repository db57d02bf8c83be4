"""The documentation pages in a real browser: from this server alone, and without a word of complaint."""

import shutil
from collections.abc import Callable

from playwright.async_api import async_playwright

from leyden.testing.live_server import LiveServer
from leyden.testing.services import skip_or_fail

Serve = Callable[..., LiveServer]
BROWSER = shutil.which("chromium")


async def test_the_pages_work_under_their_own_content_policy(serve: Serve) -> None:
    if BROWSER is None:
        skip_or_fail("chromium is not installed (Debian: chromium)")
    server = serve(docs=True)
    complaints: list[str] = []
    asked: list[str] = []
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = await browser.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{server.url}/docs")
        await page.get_by_text("/register").click()
        await page.get_by_role("button", name="Try it out").click()
        await page.get_by_role("button", name="Execute").click()
        await page.locator(".live-responses-table").wait_for()
        assert "200" in await page.locator(".live-responses-table").inner_text()
        await browser.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []


async def test_there_are_no_pages_in_production(serve: Serve) -> None:
    async with serve().client() as client:
        for path in ("/docs", "/openapi.json", "/docs/static/docs.js", "/redoc"):
            assert (await client.get(path)).status_code == 404
