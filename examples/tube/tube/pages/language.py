"""Which language a page is in: the one chosen by the switch, else the first that the browser asks for and we have."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request

COOKIE = "language"
DEFAULT = "en"
FOLDER = Path(__file__).parent / "texts"
TEXTS: dict[str, dict[str, str]] = {
    file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.toml"))
}


@dataclass(frozen=True, slots=True)
class Language:
    """One catalogue: `language("page_of", page=1, pages=3)`."""

    code: str

    def __call__(self, key: str, **values: Any) -> str:
        return TEXTS[self.code][key].format(**values)

    def count(self, number: int) -> str:
        key = {0: "count_none", 1: "count_one"}.get(number, "count_many")
        return self(key, n=number)

    def date(self, moment: datetime) -> str:
        if self.code == "zh":
            return f"{moment.year}年{moment.month}月{moment.day}日"
        return f"{moment.day} {moment:%b %Y}"


def language_of(request: Request) -> Language:
    asked = [request.query_params.get("lang", ""), request.cookies.get(COOKIE, "")]
    wanted = (*asked, *_preferred(request.headers.get("accept-language", "")), DEFAULT)
    return Language(next(code for code in map(_primary, wanted) if code in TEXTS))


def _preferred(header: str) -> Iterable[str]:
    """The languages of an Accept-Language header, best first; `zh-TW;q=0.8` has the weight 0.8."""
    parts = [part.strip().partition(";q=") for part in header[:200].split(",")]
    weighed = [(_weight(weight), tag) for tag, _, weight in parts]
    return [tag for weight, tag in sorted(weighed, key=lambda pair: -pair[0]) if weight > 0]


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _primary(tag: str) -> str:
    return tag.strip().lower().partition("-")[0]
