"""Errors as problem documents: what the client may know, in its language; the rest goes to the log."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from leyden.core.errors import LeydenError
from leyden.http.catalogue import Catalogues, Words
from leyden.http.logs import is_logged, mark_logged
from leyden.http.request_ids import request_id_of
from leyden.http.route import route_template
from leyden.http.statuses import status_of

_log = logging.getLogger("leyden.http")

_MOST_ERRORS = 100
"""A body can be wrong in a million places; nobody reads on after these."""

_LIBRARY_PHRASES = {"Content Too Large", "Not authenticated", "There was an error parsing the body"}
_BODILESS = {204, 205, 304}
_SERVER = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the client gets to know of an error."""

    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = field(default_factory=list)
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_to(error: Exception, words: Words) -> Answer:
    """What may be said about this error, in this language."""
    if isinstance(error, LeydenError):
        return _about_leyden(error, words)
    if isinstance(error, RequestValidationError):
        return _plain(422, words, errors=list(_fields(error, words)))
    if isinstance(error, HTTPException):
        return _about_http(error, words)
    return _plain(_SERVER, words)


def _plain(number: int, words: Words, **more: Any) -> Answer:
    status = status_of(number)
    return Answer(status=number, code=status.code, detail=words.sentence(status.code, status.detail), **more)


def _about_leyden(error: LeydenError, words: Words) -> Answer:
    if error.status == _SERVER:
        return _plain(_SERVER, words)
    if error.translatable:
        detail = words.sentence(error.code, error.detail, error.params)
    elif error.status < _SERVER:
        detail = error.detail
    else:  # a sentence made at the raise may say more than the class's own
        detail = words.sentence(error.code, status_of(error.status).detail, error.params)
    errors = [
        {"field": wrong.field, "code": wrong.code, "message": words.field(wrong.code, wrong.message)}
        for wrong in error.fields
    ]
    return Answer(status=error.status, code=error.code, detail=detail, errors=errors, headers=error.headers)


def _about_http(error: HTTPException, words: Words) -> Answer:
    headers = dict(error.headers or {})
    said: Any = error.detail  # FastAPI lets it be any value
    if error.status_code >= _SERVER or not said or said in (_phrase(error.status_code), *_LIBRARY_PHRASES):
        return _plain(error.status_code, words, headers=headers)
    if not isinstance(said, str):
        return _plain(error.status_code, words, headers=headers, data=said)
    return Answer(status=error.status_code, code=status_of(error.status_code).code, detail=said, headers=headers)


def _phrase(number: int) -> str:
    try:
        return HTTPStatus(number).phrase
    except ValueError:
        return ""


def _fields(error: RequestValidationError, words: Words) -> Iterator[dict[str, str]]:
    for wrong in error.errors()[:_MOST_ERRORS]:
        kind = str(wrong["type"])
        place = wrong["loc"][:1] if kind == "json_invalid" else wrong["loc"]  # behind it is an offset, not a field
        message = str(wrong["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        yield {
            "field": ".".join(map(str, place)),
            "code": kind,
            "message": words.field(kind, message, wrong.get("ctx")),
        }


class Problems:
    """Answers errors with problem documents and tells the log what the client must not know."""

    def __init__(self, catalogues: Catalogues) -> None:
        self.catalogues = catalogues

    def answer(self, scope: Scope, error: Exception) -> Response:
        """Log the error if it is the server's fault, and the response that goes out for it."""
        self.report(scope, error)
        return self.response(scope, error)

    def response(self, scope: Scope, error: Exception) -> Response:
        words = self.catalogues.words(Headers(scope=scope).get("accept-language"))
        answer = answer_to(error, words)
        if answer.status in _BODILESS or answer.status < HTTPStatus.OK:
            return Response(status_code=answer.status, headers=answer.headers)
        response = Response(
            _document(answer, words, request_id_of(scope)),
            status_code=answer.status,
            media_type="application/problem+json",
            headers=_headers(answer, words),
        )
        if scope.get("method") == "HEAD":
            response.body = b""  # the headers stay those of the document
        return response

    def report(self, scope: Scope, error: Exception, *, late: bool = False) -> None:
        """Say in the log what the client is not told, once; `late` means that the response had started."""
        status = _status(error)
        if is_logged(error) or (status < _SERVER and not late):
            return
        mark_logged(error)
        where = (scope.get("method", "WebSocket"), route_template(scope) or scope["path"], request_id_of(scope))
        if isinstance(error, ResponseValidationError):
            # Its own text holds the values of the response.
            _log.error(
                "%s %r returned what its response model refuses: %s (request %s)", *where[:2], _places(error), where[2]
            )
        elif status == _SERVER or late:
            _log.error("%s %r failed (request %s)", *where, exc_info=error)
        else:
            _log.warning("%s %r answered %d: %r (request %s)", *where[:2], status, _said(error), where[2])


def _status(error: Exception) -> int:
    if isinstance(error, LeydenError):
        return error.status
    if isinstance(error, HTTPException):
        return error.status_code
    return 422 if isinstance(error, RequestValidationError) else _SERVER


def _said(error: Exception) -> str:
    codes = [wrong.code for wrong in error.fields] if isinstance(error, LeydenError) else []
    return " ".join([str(getattr(error, "detail", error)), *codes])


def _places(error: ResponseValidationError) -> list[str]:
    return [f"{'.'.join(map(str, wrong['loc']))}: {wrong['type']}" for wrong in error.errors()[:_MOST_ERRORS]]


def _document(answer: Answer, words: Words, request_id: str | None) -> bytes:
    status = status_of(answer.status)
    content = {
        "type": "about:blank",
        "title": words.title(status.code, status.title),
        "status": answer.status,
        "detail": answer.detail,
        "code": answer.code,
        "request_id": request_id,
        "errors": answer.errors or None,
        "data": _plain_data(answer.data),
    }
    text = json.dumps(
        {key: value for key, value in content.items() if value is not None}, ensure_ascii=False, default=str
    )
    return text.encode("utf-8", "replace")  # the name of a field may be half a surrogate pair


def _plain_data(data: Any) -> Any:
    """What JSON can say of it, or None: an error that cannot be told in full is still answered."""
    try:
        plain = jsonable_encoder(data)
        json.dumps(plain, allow_nan=False)
    except Exception:  # noqa: BLE001 -- any value may be in it, with methods that raise anything
        return None
    return plain


def _headers(answer: Answer, words: Words) -> dict[str, str]:
    own = {"Cache-Control": "no-store", "Content-Language": words.language, "Vary": "Accept-Language"}
    own |= {name.title(): value for name, value in answer.headers.items()}
    return {name: value for name, value in own.items() if name not in ("Content-Type", "Content-Length")}
