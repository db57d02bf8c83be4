"""Tube's pages as people see them, in a real browser: large and small, light and dark, English and Chinese."""

import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from leyden.testing import LiveServer
from leyden.testing.services import skip_or_fail

TUBE = Path(__file__).parents[3] / "examples" / "tube"
LEYDEN = Path(sysconfig.get_path("scripts"), "leyden")
CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox",  # CI is root in a container, where Chromium's sandbox cannot be
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
NEWEST = "Finding Andromeda with nothing but your eyes"

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        skip_or_fail(f"{CHROMIUM} is not installed (Debian: chromium)")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One Tube with its demonstration data for all of these tests: they only look."""
    database = tmp_path_factory.mktemp("tube") / "tube.db"
    env = {"APP_DATA__URL": f"sqlite:///{database}", "APP_AUTH__SECRET": os.urandom(32).hex()}
    for command in (("db", "upgrade"), ("db", "seed")):
        subprocess.run([LEYDEN, *command], cwd=TUBE, env=os.environ | env, check=True, capture_output=True, timeout=60)
    with LiveServer(TUBE, env=env) as started:
        yield started


@pytest.fixture
def visit(server: LiveServer, browser: Browser) -> Iterator[Open]:
    """Open a page with a browser of this kind; nothing on it may fail, and nothing may come from elsewhere."""
    complaints: list[str] = []
    opened: list[Page] = []

    def look(path: str = "/", **kind: Any) -> Page:
        page = browser.new_context(base_url=server.url, **(DESKTOP | kind)).new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda request: complaints.extend(elsewhere(request.url, server.url)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.goto(path, wait_until="networkidle")
        opened.append(page)
        return page

    yield look
    for page in opened:
        page.context.close()
    assert complaints == []


def elsewhere(url: str, here: str) -> list[str]:
    return [] if url.startswith(here) else [f"elsewhere: {url}"]


def test_the_home_page_shows_the_newest_videos_with_pictures_and_leads_to_them(visit: Open) -> None:
    page = visit()

    titles = page.locator(".card-link").all_inner_texts()
    assert (titles[0], len(titles)) == (NEWEST, 12)
    assert "红烧肉" in titles[1]
    widths = page.eval_on_selector_all(".card-picture", "pictures => pictures.slice(0, 4).map(p => p.naturalWidth)")
    assert all(width > 0 for width in widths), widths

    page.get_by_role("link", name="Older").click()
    assert page.locator(".card-link").first.inner_text() != NEWEST
    page.get_by_role("link", name="Newer").click()
    page.get_by_role("link", name=NEWEST).click()
    assert page.get_by_role("heading", level=1).inner_text() == NEWEST
    page.locator(".channel").click()
    assert page.url.endswith("/@nightsky")
    assert page.get_by_role("heading", level=1).inner_text() == "Night Sky Notes"


def test_searching_finds_words_and_says_so_when_there_are_none(visit: Open) -> None:
    page = visit()

    page.get_by_role("searchbox").fill("SOURDOUGH rye")
    page.get_by_role("searchbox").press("Enter")
    assert page.locator(".card-link").all_inner_texts() == ["Rye at 100 percent: a brick worth eating"]
    page.get_by_role("searchbox").fill("燕尾")
    page.get_by_role("button", name="Search").click()
    assert len(page.locator(".card-link").all()) == 2
    page.get_by_role("searchbox").fill('<b>nothing</b> & "nobody"')
    page.get_by_role("searchbox").press("Enter")
    assert page.get_by_role("heading", name="No video matches").is_visible()
    assert page.locator("h1 q").inner_text() == '<b>nothing</b> & "nobody"'
    page.get_by_role("link", name="Show all videos").click()
    page.get_by_role("link", name="python", exact=True).click()
    assert len(page.locator(".card-link").all()) == 7


def test_the_language_is_the_browsers_and_the_switch_is_remembered(visit: Open) -> None:
    page = visit("/?q=python", locale="zh-CN")
    assert page.locator("html").get_attribute("lang") == "zh"
    assert page.get_by_role("button", name="搜索").is_visible()

    page.get_by_role("link", name="English").click()
    assert page.locator("h1").inner_text().startswith("Results for")
    page.locator(".brand").click()
    assert page.get_by_role("heading", name="Newest videos").is_visible()


def test_the_documentation_shows_every_operation_without_anything_from_elsewhere(visit: Open) -> None:
    page = visit("/docs")
    page.locator(".opblock").first.wait_for()

    document = page.request.get("/openapi.json").json()
    assert page.locator(".opblock").count() == sum(len(operations) for operations in document["paths"].values())
    page.locator(".opblock-summary", has_text="Find videos").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table", has_text="Finding Andromeda").wait_for()


@pytest.mark.parametrize("kind", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_is_wider_than_its_window_in_either_language(visit: Open, kind: dict[str, Any]) -> None:
    for locale in ("en-GB", "zh-CN"):
        for path in ("/", "/@laochen", "/?q=nothing+at+all"):
            page = visit(path, **kind, locale=locale)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_page_is_dark_where_the_reader_wants_it_dark(visit: Open) -> None:
    grounds = [brightness(visit("/", color_scheme=scheme)) for scheme in ("light", "dark")]

    assert grounds[0] > 200
    assert grounds[1] < 60


def brightness(page: Page) -> float:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)")
    return sum(map(float, colour)) / 3
