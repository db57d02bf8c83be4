"""The name that one request has in the answer, in the log and in everything it caused."""

import re
import secrets
from contextvars import ContextVar, Token
from typing import cast

from starlette.types import Scope

_STATE_KEY = "leyden_request_id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,127}")
_current: ContextVar[str | None] = ContextVar("leyden_request_id", default=None)


def request_id() -> str | None:
    """The id of the request being served, or None outside of one."""
    return _current.get()


def choose(offered: str | None) -> str:
    """The client's own id if it is well-formed, so that it cannot forge log lines; else a new one."""
    if offered is not None and _WELL_FORMED.fullmatch(offered):
        return offered
    return secrets.token_hex(16)


def begin(scope: Scope, value: str) -> Token[str | None]:
    scope.setdefault("state", {})[_STATE_KEY] = value
    return _current.set(value)


def end(token: Token[str | None]) -> None:
    _current.reset(token)


def request_id_of(scope: Scope) -> str | None:
    """The id of this request, also where the context variable is gone again."""
    return cast("str | None", scope.get("state", {}).get(_STATE_KEY)) or _current.get()
