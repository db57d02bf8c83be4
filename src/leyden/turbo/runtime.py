"""What compiled routes call: reading, refusing, and ending with an error."""

import email.message
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError, ResponseValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from leyden.turbo import internals
from leyden.turbo.internals import Dependant, ModelField

Pairs = list[tuple[str, str]]
Headers = Sequence[tuple[bytes, bytes]]


def query_pairs(text: bytes) -> Pairs:
    """As Starlette's QueryParams has them."""
    if b"%" in text or b"+" in text:
        return parse_qsl(text.decode("latin-1"), keep_blank_values=True)
    parts = [item.partition("=") for item in text.decode("latin-1").split("&") if item]
    return [(name, value) for name, _, value in parts]


def header(headers: Headers, name: bytes) -> str | None:
    """The first of this name."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


def header_list(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def cookies(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in header_list(headers, b"cookie"):
        found.update(internals.cookie_parser(text))
    return found


def refused(error: ValidationError, *place: str) -> list[dict[str, Any]]:
    """A validator's errors as FastAPI tells them."""
    found: list[dict[str, Any]] = [*error.errors(include_url=False)]  # type: ignore[list-item]  # ErrorDetails is a TypedDict
    return [{**one, "loc": (*place, *one["loc"])} for one in found]


def validated(field: ModelField, content: Any) -> tuple[Any, list[dict[str, Any]]]:
    """What FastAPI does in a thread for endpoints that run in one."""
    return field.validate(content, {}, loc=("response",))


def resumed(message: Message, receive: Receive) -> Receive:
    """Gives once more what has come already, then the rest."""
    held = [message]

    async def received() -> Message:
        return held.pop() if held else await receive()

    return received


def completed(
    request: Request | None,
    scope: Scope,
    receive: Receive,
    send: Send,
    content: bytes | None = None,
    parsed: Any = internals.UNDEFINED,
) -> Request:
    """The request, which knows what has been read of it."""
    if request is None:
        request = Request(scope, receive, send)
        if content is not None:
            request._body = content  # noqa: SLF001 -- where Starlette keeps it
            request._stream_consumed = True  # noqa: SLF001 -- the same
    if parsed is not internals.UNDEFINED:
        request._json = parsed  # noqa: SLF001 -- the same
    return request


@lru_cache(maxsize=256)
def is_json(content_type: str | None, *, strict: bool) -> bool:
    """Whether FastAPI reads a body of this type as JSON."""
    if not content_type:
        return not strict
    message = email.message.Message()
    message["content-type"] = content_type
    if message.get_content_maintype() != "application":
        return False
    subtype = message.get_content_subtype()
    return subtype == "json" or subtype.endswith("+json")


def invalid(errors: Sequence[Any], body: Any, dependant: Dependant, scope: Scope) -> RequestValidationError:
    return RequestValidationError(errors, body=body, endpoint_ctx=_context(dependant, scope))


def invalid_json(error: json.JSONDecodeError, dependant: Dependant, scope: Scope) -> RequestValidationError:
    told = {
        "type": "json_invalid",
        "loc": ("body", error.pos),
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": error.msg},
    }
    return RequestValidationError([told], body=error.doc, endpoint_ctx=_context(dependant, scope))


def invalid_answer(errors: Sequence[Any], content: Any, dependant: Dependant, scope: Scope) -> ResponseValidationError:
    return ResponseValidationError(errors=errors, body=content, endpoint_ctx=_context(dependant, scope))


def body_failure(error: Exception, scope: Scope) -> Exception:
    """What FastAPI makes of an error while the body is read."""
    if isinstance(error, HTTPException):
        return error
    if internals.MAX_BODY_SIZE_SCOPE_KEY in scope and (known := internals.get_body_limit_error(error)):
        return known
    return HTTPException(status_code=400, detail="There was an error parsing the body")


def _context(dependant: Dependant, scope: Scope) -> Any:
    context = internals.endpoint_context(dependant.call)
    if dependant.path:
        mounted = scope.get("root_path", "").rstrip("/")
        context["path"] = f"{scope['method']} {mounted}{dependant.path}"
    return context


def sub_response() -> Response:
    """What a dependency sets headers and a status on."""
    response = Response()
    del response.headers["content-length"]
    response.status_code = None  # type: ignore[assignment]  # as FastAPI does: nobody has set one
    return response


def response_arguments(status: int | None, told: Response | None, background: Any) -> Mapping[str, Any]:
    """Of the response class: the route's status unless a dependency has set another."""
    arguments: dict[str, Any] = {"background": background}
    wished = told.status_code if told is not None else None
    chosen = wished or status or wished
    if chosen is not None:
        arguments["status_code"] = chosen
    return arguments


class Sending:
    """A `send` that remembers how the response has begun."""

    __slots__ = ("send", "started")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = message
        await self.send(message)


class Raised:
    """An error of a compiled route, on its way through FastAPI's handlers as if FastAPI had met it."""

    __slots__ = ("error", "request", "started")

    def __init__(self, error: Exception, request: Request, started: Message | None) -> None:
        self.error = error
        self.request = request
        self.started = started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for name in (internals.INNER_STACK, internals.FUNCTION_STACK):
            scope.setdefault(name, AsyncExitStack())  # handlers see that they are there
        await internals.wrap_app_handling_exceptions(self.raise_again, self.request)(scope, receive, send)

    async def raise_again(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        if self.started is not None:  # the layers around must know; the client has it already
            await send(self.started)
        raise self.error
