"""What a visitor asks for, read forgivingly: a mistyped address shows a page and not an error."""

from dataclasses import dataclass

from starlette.requests import Request

from tube.text import composed, lowered

LONGEST = 100
LAST_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    words: str
    tag: str
    page: int


def search_of(request: Request) -> Search:
    asked = request.query_params
    return Search(
        words=composed(_visible(asked.get("q", ""))),
        tag=lowered(_visible(asked.get("tag", ""))),
        page=_page(asked.get("page", "")),
    )


def _visible(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST]).strip()


def _page(text: str) -> int:
    return min(max(int(text), 1), LAST_PAGE) if text.isascii() and text.isdigit() and len(text) < LONGEST else 1
