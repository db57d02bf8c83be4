"""What a file is called when a browser saves it."""

import re
import unicodedata
from urllib.parse import quote

_LONGEST = 150
"""Characters; file systems take 255 bytes."""
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f"*/:<>?\\|%\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+')
"""What some system gives a meaning in a name, and marks that turn text round so that an ending looks like another."""


def content_disposition(filename: str) -> str:
    """The header's value (RFC 6266): a name without folders, plain for old clients and whole for the others."""
    name = _UNSAFE.sub("_", filename).strip(". ")[-_LONGEST:] or "download"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if plain == name:
        return f'attachment; filename="{name}"'
    fallback = _UNSAFE.sub("_", plain).strip(". ") or "download"
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe='')}"
