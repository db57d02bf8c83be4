"""The table as a picture: docs/images/turbo.svg, made from benchmarks/results/turbo.json and from nothing else.

cd benchmarks && ../.venv/bin/python -m speed.plot
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from load.apps import HERE
from load.figures import RESULTS
from speed.cases import TABLE, Row
from speed.contestants import ACCELERATED, FASTAPI, LEYDEN, PEERS, RAW

PICTURE = HERE.parent / "docs" / "images" / "turbo.svg"

NAMES = {
    FASTAPI.name: "FastAPI",
    ACCELERATED.name: "FastAPI, accelerated",
    LEYDEN.name: "… in Leyden's middleware",
    "litestar": "Litestar",
    "blacksheep": "BlackSheep",
    "robyn": "Robyn",
    "django_bolt": "django-bolt",
    RAW.name: "raw ASGI, no validation",
}
assert set(NAMES) == {app.name for app in (FASTAPI, ACCELERATED, LEYDEN, *PEERS, RAW)}  # noqa: S101 -- a bar for each

WIDTH, MARGIN, GAP = 920, 24, 40
PANEL = (WIDTH - 2 * MARGIN - GAP) // 2
NAMES_WIDE, VALUES_WIDE = 176, 84
LINE, BAR = 24, 16
HEAD, FOOT, TITLE = 80, 36, 30
PANEL_HIGH = TITLE + LINE * len(NAMES) + 24

# The viewer's colours; a background of its own, since a page that shows the picture may have other ones.
STYLE = """
  text { font: 12.5px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .back { fill: #ffffff } .head { font-size: 17px; font-weight: 600 } .title { font-size: 14px; font-weight: 600 }
  .note { fill: #59636e } .strong { font-weight: 600 }
  .accelerated { fill: #0f766e } .leyden { fill: #5aa9a1 } .fastapi { fill: #b45309 } .peer { fill: #8c959f }
  .raw { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .back { fill: #0d1117 } .note { fill: #9198a1 }
    .accelerated { fill: #2dd4bf } .leyden { fill: #1f8a7e } .fastapi { fill: #e3983e } .peer { fill: #6e7681 }
    .raw { stroke: #8b949e }
  }
"""


def draw(results: Path = RESULTS / "turbo.json", picture: Path = PICTURE) -> Path:
    told = json.loads(results.read_text(encoding="utf-8"))
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(drawn(told), encoding="utf-8")
    return picture


def drawn(told: Mapping[str, Any]) -> str:
    """SVG, from what a run has saved."""
    values = {figure["name"]: figure["value"] for figure in told["figures"]}
    high = HEAD + 2 * PANEL_HIGH + FOOT
    panels = [line for place, row in enumerate(TABLE) for line in _panel(place, row, values)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" role="img" aria-labelledby="said">',
            f'<title id="said">{escape(_said(values))}</title>',
            f"<style>{STYLE}</style>",
            f'<rect class="back" width="{WIDTH}" height="{high}" rx="8"/>',
            _text(MARGIN, 34, "Requests a second on one core", "head"),
            _text(MARGIN, 56, _machine(told), "note"),
            *panels,
            _text(MARGIN, high - 18, "More is better. Every app gives the same answers, on the same core.", "note"),
            "</svg>\n",
        ]
    )


def _panel(place: int, row: Row, values: Mapping[str, float | None]) -> Iterator[str]:
    left, top = MARGIN + place % 2 * (PANEL + GAP), HEAD + place // 2 * PANEL_HIGH
    rates = {app: values.get(f"{row.name}_{app}") for app in NAMES}
    largest = max((rate for rate in rates.values() if rate), default=1.0)
    ratio = values.get(f"{row.name}_accelerated_to_fastapi")
    yield _text(left, top + 14, f"{row.about}{f': {ratio:.1f}x' if ratio else ''}", "title")
    for line, (app, rate) in enumerate(rates.items()):
        y = top + TITLE + line * LINE
        strong = "strong" if app == ACCELERATED.name else ""
        yield _text(left + NAMES_WIDE - 8, y + 12.5, NAMES[app], strong, anchor="end")
        wide = (PANEL - NAMES_WIDE - VALUES_WIDE) * (rate or 0) / largest
        if rate:
            yield f'<rect class="{_kind(app)}" x="{left + NAMES_WIDE}" y="{y}" width="{wide:.1f}" height="{BAR}" rx="2"/>'
        value = f"{rate:,.0f}" if rate else "not measured"
        yield _text(left + NAMES_WIDE + wide + 6, y + 12.5, value, strong if rate else "note")


def _kind(app: str) -> str:
    if app == RAW.name:
        return "raw"
    return "peer" if any(app == peer.name for peer in PEERS) else app


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _machine(told: Mapping[str, Any]) -> str:
    own = told["versions"]["leyden"]
    return (
        f"FastAPI {own['fastapi']}, uvicorn {own['uvicorn']}, Python {told['machine']['python']}, "
        f"{told['machine']['cpu']}; wrk with {told['method']['connections']} connections on another core"
    )


def _said(values: Mapping[str, float | None]) -> str:
    """The picture for who cannot see it."""
    rates = [
        f"{row.about}: {values.get(f'{row.name}_{app}') or 0:.0f} with {NAMES[app]}"
        for row in TABLE
        for app in (FASTAPI.name, ACCELERATED.name)
    ]
    return f"Requests a second on one core. {'; '.join(rates)}."


if __name__ == "__main__":
    print(draw())
