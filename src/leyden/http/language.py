"""Which language an answer is in."""

from collections.abc import Collection, Iterator

_MOST_RANGES = 20
_LONGEST_TAG = 35
"""What RFC 5646 asks an implementation to hold at the least."""
_LONGEST_QUALITY = 8


def preferred(header: str | None, known: Collection[str], default: str) -> str:
    """The known language that an Accept-Language header likes best; `zh-CN` is content with `zh`."""
    for wanted in _in_order(header or ""):
        if wanted == "*":
            return default
        for candidate in _widening(wanted):
            if candidate in known:
                return candidate
    return default


def _in_order(header: str) -> list[str]:
    ranked = [_ranked(part) for part in header.split(",", _MOST_RANGES)[:_MOST_RANGES] if part.strip()]
    wanted = [(tag, quality) for tag, quality in ranked if quality > 0 and len(tag) <= _LONGEST_TAG]
    return [tag for tag, _ in sorted(wanted, key=lambda found: -found[1])]


def _ranked(part: str) -> tuple[str, float]:
    tag, _, parameters = part.partition(";")
    name, _, value = parameters.strip().partition("=")
    try:
        quality = float(value[:_LONGEST_QUALITY]) if name.strip() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return tag.strip().lower().replace("_", "-"), quality


def _widening(tag: str) -> Iterator[str]:
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
