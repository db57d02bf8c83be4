"""Bodies of requests: what counts as JSON, how it is validated, and what comes instead of it."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Body, Depends, FastAPI, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

JSON = [("content-type", "application/json")]


class Item(BaseModel):
    name: str
    price: float = 1.5


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    at: datetime | None = None
    id: UUID | None = None
    pair: tuple[int, int] | None = None
    number: float | None = None
    raw: bytes | None = None


def echo(**options: Any) -> Any:
    """Routes for a whole body, for a Request beside it, and for anything at all."""

    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI(**options)

        @app.post("/item")
        async def item(item: Item) -> Item:
            return item

        @app.post("/request")
        async def request(item: Item, request: Request) -> Item:
            ledger.append(await request.body())
            return item

        @app.post("/any")
        async def anything(item: Annotated[Any, Body()] = "none") -> Any:
            return item.decode("latin-1") if isinstance(item, bytes) else item

        return app

    return build


def chunk(body: bytes, more: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
    return {"type": "http.request", "body": body, "more_body": more}


TYPES = [
    [("content-type", value)]
    for value in (
        "application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", "application/jsonx",
        "text/json", "text/plain", "json", "", "application/json, text/plain", "application/json\x00", ";", "a/b/c",
    )
]  # fmt: skip
TYPES += [[], [*JSON, ("content-type", "text/plain")], [("content-type", "text/plain"), *JSON]]


@pytest.mark.parametrize("strict", [True, False])
def test_what_counts_as_json_is_said_by_the_first_content_type(twins: Any, strict: bool) -> None:  # noqa: FBT001
    asked = [
        twins.ask(f"POST {path}", headers=headers, body=body)
        for path in ("/item", "/request", "/any")
        for headers in TYPES
        for body in (b'{"name": "x"}', b"")
    ]
    twins(echo(strict_content_type=strict), *asked)


def test_json_is_validated_as_python_values(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.post("/")
        async def write(item: Strict) -> Strict:
            return item

        return app

    bodies: list[dict[str, Any]] = [
        {"at": "2026-01-01T00:00:00Z"}, {"id": "00000000-0000-0000-0000-000000000001"}, {"pair": [1, 2]},
        {"number": 1}, {"raw": "x"}, {},
    ]  # fmt: skip
    answers = twins(build, *(twins.ask("POST /", json_body=body) for body in bodies))
    assert [answer.sent[0]["status"] for answer in answers] == [422, 422, 422, 200, 422, 200]


DOCUMENTS = {
    "lone surrogate": rb'"\ud800"',
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "deep": b"[" * 300 + b"]" * 300,
    "too deep": b"[" * 100_000,
    "not a number": b"[NaN, Infinity, -Infinity]",
    "big": b"9" * 400,
    "too big": b"9" * 5000,
    "exponent": b"[1e400, 1e16, -0.0]",
    "twice the same key": b'{"name": "a", "name": "b"}',
    "Latin-1": b'"\xe9"',
    "control character": b'"\x01"',
    "trailing": b"{} x",
    "cut": b'{"name": ',
    "one quote": b"'",
    "spaces": b" \n\t ",
    "null": b"null",
    "false": b"false",
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_that_parsers_disagree_about_mean_what_they_mean_to_fastapi(twins: Any, document: bytes) -> None:
    asked = [twins.ask(f"POST {path}", headers=JSON, body=document) for path in ("/any", "/item", "/request")]
    twins(echo(), *asked)


async def stop(_app: FastAPI) -> Any:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


ARRIVALS: dict[str, list[Any]] = {
    "in chunks": [chunk(b'{"na', more=True), chunk(b"", more=True), chunk(b'me": "x"}')],
    "without its keys": [{"type": "http.request"}],
    "with nothing": [chunk(None)],  # type: ignore[arg-type]
    "as no bytes": [chunk(bytearray(b'{"name": "x"}'))],  # type: ignore[arg-type]
    "in chunks that are no bytes": [chunk(memoryview(b'{"name"'), more=True), chunk(b': "x"}')],  # type: ignore[arg-type]
    "as text": [chunk("{}")],  # type: ignore[arg-type]
    "after something else": [{"type": "http.pause"}, chunk(b'{"name": "x"}')],
    "never": [{"type": "http.disconnect"}],
    "cut": [chunk(b'{"na', more=True), {"type": "http.disconnect"}],
    "broken": [OSError("broken")],
    "broken later": [chunk(b"{", more=True), ValueError("later"), chunk(b"}")],
    "refused": [HTTPException(418, "no")],
    "refused later": [chunk(b"{", more=True), HTTPException(413, "too much", {"x-why": "size"})],
    "broken like JSON": [json.JSONDecodeError("like JSON", "doc", 1)],
    "cancelled": [stop],
    "cancelled later": [chunk(b"{", more=True), stop],
}


@pytest.mark.parametrize("events", ARRIVALS.values(), ids=ARRIVALS)
def test_a_body_may_come_in_chunks_or_not_at_all(twins: Any, events: list[Any]) -> None:
    twins(echo(), *(twins.ask(f"POST {path}", headers=JSON, events=events) for path in ("/item", "/request", "/any")))


def reading_handlers(_ledger: list[Any]) -> FastAPI:
    """Handlers that look at the request of what went wrong."""
    app = FastAPI()

    @app.post("/")
    async def write(item: Annotated[dict[str, int], BeforeValidator(mark)]) -> Item:
        return item  # type: ignore[return-value]  # answers that are refused are half of it

    @app.post("/broken")
    async def broken(item: Annotated[dict[str, int], BeforeValidator(mark)]) -> None:
        raise LookupError(item)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(LookupError)
    @app.exception_handler(HTTPException)
    @app.exception_handler(ClientDisconnect)
    async def handled(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(await seen(request, error), 418)

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(await seen(request, error), 599)

    return app


def mark(value: Any) -> Any:
    """A validator that changes what it was given."""
    if isinstance(value, dict):
        value["marked"] = 1
    return value


async def seen(request: Request, error: Exception) -> list[Any]:
    found: list[Any] = [
        type(error).__name__,
        repr(error.__cause__),
        request._stream_consumed,
        getattr(error, "body", 0),
        getattr(error, "endpoint_ctx", None),
    ]
    found.append(await request.is_disconnected())
    try:
        found += [(await request.body()).decode(), await request.json()]
        found.append(b"".join([part async for part in request.stream()]).decode())
    except Exception as other:  # noqa: BLE001 -- what comes is compared
        found.append(repr(other))
    return json.loads(json.dumps(found, default=repr))  # type: ignore[no-any-return]


BODIES: list[list[Any]] = [
    [chunk(b'{"a": 1}')], [chunk(b'{"a": "x"}')], [chunk(b"{")], [chunk(b"")], [chunk(b"[1]", more=True), chunk(b"")],
    [chunk(b"1", more=True), {"type": "http.disconnect"}, chunk(b"2")], [OSError("broken"), chunk(b"3")],
    [chunk(b"1", more=True), OSError("broken"), chunk(b"3")], [HTTPException(418, "no"), chunk(b"3")],
]  # fmt: skip


@pytest.mark.parametrize("events", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("headers", [JSON, []], ids=["json", "bytes"])
def test_handlers_see_the_request_whose_body_was_read(twins: Any, events: Any, headers: Any) -> None:
    asked = [twins.ask(f"POST {path}", headers=headers, events=events) for path in ("/", "/broken")]
    twins(reading_handlers, *asked)


def test_an_endpoint_sees_the_body_that_was_read_for_it(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def first(request: Request) -> str:
            return (await request.body()).decode()

        @app.post("/")
        async def write(item: Item, request: Request, before: Annotated[str, Depends(first)]) -> list[Any]:
            parsed = await request.json()
            parts = [part.decode() async for part in request.stream()]
            return [item, before, parsed, parts, request._stream_consumed]

        return app

    twins(build, twins.ask("POST /", json_body={"name": "x"}), twins.ask("POST /", json_body=1))


def test_fields_are_embedded_by_the_whole_route_and_read_by_each_dependency(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def other(other: Item) -> Item:
            return other

        async def same(item: Item) -> Item:
            return item

        @app.post("/two")
        async def two(item: Item, second: Annotated[Item, Depends(other)]) -> list[Item]:
            return [item, second]

        @app.post("/same")
        async def shared(item: Item, second: Annotated[Item, Depends(same)]) -> list[Item]:
            return [item, second]

        @app.post("/embedded")
        async def embedded(item: Annotated[Item, Body(embed=True)]) -> Item:
            return item

        @app.post("/scalars")
        async def scalars(a: Annotated[int, Body()] = 3, b: Annotated[list[int] | None, Body(alias="c")] = None) -> Any:
            return [a, b]

        @app.post("/above")
        async def above(second: Annotated[Item, Depends(other)]) -> Item:
            return second

        return app

    bodies = [
        {"name": "x"}, {"item": {"name": "x"}}, {"item": {"name": "x"}, "other": {"name": "y"}}, {"a": "x", "c": [1]},
        [], None, "x", {"item": 1, "other": []},
    ]  # fmt: skip
    paths = ("/two", "/same", "/embedded", "/scalars", "/above")
    twins(build, *(twins.ask(f"POST {path}", json_body=body) for path in paths for body in bodies))
    twins(build, *(twins.ask(f"POST {path}", headers=JSON, body=b"") for path in paths))


def test_headers_and_query_may_be_missing_or_no_list(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read(q: str = "none", user_agent: Annotated[str | None, Body()] = None) -> list[Any]:
            return [q, user_agent]

        @app.get("/plain")
        async def plain() -> str:
            return "x"

        @app.get("/header")
        async def header(request: Request, q: str = "none") -> list[Any]:
            return [q, request.headers.get("x")]

        return app

    pairs = [(b"x", b"1"), (b"cookie", b"a=b"), (b"content-type", b"application/json")]
    for path in ("/", "/plain", "/header"):
        asked: list[dict[str, Any]] = [
            {"headers": None}, {"query_string": None}, {"query_string": "q=text"}, {"query_string": ""},
            {"headers": lambda: iter(pairs)}, {"headers": lambda: tuple(pairs)}, {"query_string": None, "headers": None},
        ]  # fmt: skip
        twins(build, *(twins.ask(f"GET {path}", by="either", **scope) for scope in asked))


FORM = [("content-type", "application/x-www-form-urlencoded")]
MULTIPART = [("content-type", "multipart/form-data; boundary=b")]
UPLOADED = (
    b'--b\r\ncontent-disposition: form-data; name="name"\r\n\r\nx\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="f.txt"\r\n\r\nhello\r\n--b--\r\n'
)


def test_forms_are_read_as_fastapi_reads_them(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.post("/form")
        async def form(name: Annotated[str, Form()], ages: Annotated[list[int], Form()] = [1]) -> list[Any]:  # noqa: B006
            return [name, ages]

        @app.post("/model")
        async def model(item: Annotated[Item, Form()]) -> Item:
            return item

        @app.post("/file")
        async def file(file: UploadFile, name: Annotated[str, Form()] = "") -> list[Any]:
            return [name, file.filename, (await file.read()).decode()]

        @app.post("/bytes")
        async def content(file: Annotated[bytes, File()]) -> int:
            return len(file)

        return app

    bodies = [b"name=x&ages=1&ages=2", b"name=&ages=x", b"", b"price=2&name=%ff", UPLOADED, UPLOADED[:60], b"\xff"]
    headers = [FORM, MULTIPART, JSON, []]
    asked = [
        twins.ask(f"POST {path}", headers=header, body=body)
        for path in ("/form", "/model", "/file", "/bytes")
        for header in headers
        for body in bodies
    ]
    twins(build, *asked, twins.ask("POST /file", headers=MULTIPART, events=[chunk(UPLOADED[:90], more=True)]))
