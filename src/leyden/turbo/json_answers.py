"""JSON of what has no model: FastAPI's encoder leaves values of Python's own plain types as they are."""

import json
from typing import Any

from fastapi.encoders import jsonable_encoder

_SCALARS = frozenset({str, int, float, bool, type(None)})
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_DEPTH = 20


def render(content: Any) -> bytes:
    """As `JSONResponse(jsonable_encoder(content))` would; raises what that raises."""
    return encode(content if _is_plain(content, _DEPTH) else jsonable_encoder(content))


def encode(content: Any) -> bytes:
    """As `JSONResponse(content)` would."""
    return _encode(content).encode("utf-8")


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        return depth > 0 and all(
            type(key) is str and key[:3] != "_sa" and (type(item) in _SCALARS or _is_plain(item, depth - 1))
            for key, item in value.items()
        )
    if kind is list:
        return depth > 0 and all(type(item) in _SCALARS or _is_plain(item, depth - 1) for item in value)
    return False
