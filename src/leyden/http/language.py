"""Which language an answer is in."""

from collections.abc import Collection


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
    ranked = [_ranked(part) for part in header.split(",")[:20] if part.strip()]
    return [tag for tag, quality in sorted(ranked, key=lambda found: -found[1]) if quality > 0]


def _ranked(part: str) -> tuple[str, float]:
    tag, _, parameters = part.partition(";")
    name, _, value = parameters.strip().partition("=")
    try:
        quality = float(value) if name.strip() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return tag.strip().lower().replace("_", "-"), quality


def _widening(tag: str) -> list[str]:
    parts = tag.split("-")
    return ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
