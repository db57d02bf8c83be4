"""Where `?next=` may lead."""

import re
from urllib.parse import unquote

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")
_LONGEST = 2048


def safe_next(value: str | None, default: str = "/") -> str:
    """`value` if it is a path on this site, else `default`: no other host, scheme, backslash or control character."""
    if value is None or len(value) > _LONGEST:
        return default
    return value if _stays_here(value) and _stays_here(unquote(value)) else default


def _stays_here(path: str) -> bool:
    place = re.split("[?#]", path, maxsplit=1)[0]
    return place.startswith("/") and "//" not in place and not _FORBIDDEN.search(path)
