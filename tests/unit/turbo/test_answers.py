"""What endpoints return, and the bytes that are sent of it."""

import math
import threading
from collections import OrderedDict, UserDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, Response
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, computed_field
from starlette.background import BackgroundTask


class Level(Enum):
    LOW = "low"


class Public(BaseModel):
    name: str


class Private(Public):
    password: str = "secret"


class Wide(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    number: int = Field(1, alias="Number")
    text: str | None = None
    inner: Public | None = None
    more: dict[str, int] = {}

    @computed_field
    def twice(self) -> int:
        return self.number * 2


@dataclass
class Point:
    x: float
    y: float = 0.0


class Odd:
    """An object that is neither JSON nor a model."""

    def __init__(self) -> None:
        self.name = "odd"
        self._sa_state = "hidden"


class Text(str):
    __slots__ = ()


def returns(value: Any, **options: Any) -> Any:
    """An app whose one route returns this; a function is called for it."""

    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def read():  # type: ignore[no-untyped-def]
            return value() if callable(value) else value

        def read_in_thread():  # type: ignore[no-untyped-def]
            return value() if callable(value) else value

        app.get("/", **options)(read)
        app.get("/thread", **options)(read_in_thread)
        return app

    return build


DEEP: list[Any] = []
for _ in range(30):
    DEEP = [DEEP]
VALUES: dict[str, Any] = {
    "none": None,
    "text": "\u00e9\u2028\U0001f600\x00",
    "lone surrogate": "\ud800",
    "big float": 1e16,
    "floats": [1e16, 1e-7, -0.0, 0.1, 5e-324],
    "not a number": math.nan,
    "infinite": [math.inf],
    "big int": 2**70,
    "dict": {"a": 1, "_sa_instance_state": 2, "_s": 3, "b": {"_sab": 1}},
    "keys": {1: "a", None: "b", 1.5: "c", False: "d", Level.LOW: "e", (1, 2): "f"},
    "tuple": (1, 2),
    "set": {1},
    "deep": DEEP,
    "ordered": OrderedDict(a=1),
    "user dict": lambda: UserDict(a=1),
    "datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "timedelta": timedelta(seconds=1.5),
    "decimal": [Decimal("1.10"), Decimal(1)],
    "uuid": UUID(int=1),
    "enum": [Level.LOW],
    "path": PurePosixPath("/a"),
    "bytes": b"abc",
    "bytes that are no text": b"\xff",
    "model": Wide(Number=2),
    "models": [Private(name="x"), {"inner": Public(name="y")}],
    "dataclass": Point(1.0),
    "object": Odd,
    "generator": lambda: (number for number in range(3)),
    "text of a class of its own": Text("x"),
    "exception": lambda: ValueError("x"),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_what_has_no_model_is_encoded_as_fastapi_encodes_it(twins: Any, value: Any) -> None:
    twins(returns(value), "GET /", "GET /thread")
    twins(returns(value, response_class=JSONResponse), "GET /")


def test_a_list_that_holds_itself_fails_as_it_does(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read():  # type: ignore[no-untyped-def]
            endless: list[Any] = []
            endless.append(endless)
            return endless

        return app

    (answer,) = twins(build, "GET /")
    assert answer.raised[0].startswith("RecursionError")


@pytest.mark.parametrize("options", [{}, {"response_class": JSONResponse}], ids=["default", "explicit"])
@pytest.mark.parametrize(
    ("model", "value"),
    [
        (float, 1e16), (float, math.nan), (list[float], [math.inf, 1.0]), (Decimal, Decimal("1.10")), (bytes, b"x"), (bytes, b"\xff"),
        (dict[str, int], {"_sa_x": 1, "a": 2}), (dict[str, Any], {"_sa_x": {"_sa_y": 1}}), (Point, Point(1e16)),
        (dict[int, str], {1: "x"}), (Any, {"_sa_x": 1e16}), (str, "\u00e9/\u2028"), (timedelta, timedelta(days=1)),
        (Wide, Wide()), (list[Any], DEEP), (str | None, None),
    ],
)  # fmt: skip
def test_only_an_answer_without_a_class_of_its_own_goes_straight_to_json(
    twins: Any, model: Any, value: Any, options: dict[str, Any]
) -> None:
    twins(returns(value, response_model=model, **options), "GET /", "GET /thread")


@pytest.mark.parametrize(
    "options",
    [
        {}, {"response_model_by_alias": False}, {"response_model_exclude_unset": True}, {"response_model_include": {"text"}},
        {"response_model_exclude_defaults": True}, {"response_model_exclude_none": True},
        {"response_model_exclude": {"inner": {"name"}}}, {"response_model_include": {"number", "twice"}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [{}, {"response_class": JSONResponse}], ids=["default", "explicit"])
def test_options_of_the_response_model_are_kept(twins: Any, options: Any, more: Any) -> None:
    values: list[Any] = [
        Wide(number=3, inner=Private(name="x")), Wide(), {"Number": 4, "text": None}, {"number": 5}, {"text": 1}, None,
    ]  # fmt: skip
    for value in values:
        twins(returns(value, response_model=Wide, **options, **more), "GET /", "GET /thread")


def test_fields_that_the_declared_model_does_not_have_are_not_sent(twins: Any) -> None:
    @dataclass
    class Row:
        name: str = "row"
        password: str = "secret"

    for value in (Private(name="x"), Row(), {"name": "x", "password": "secret"}):
        (answer, _) = twins(returns(value, response_model=Public), "GET /", "GET /thread")
        assert b"secret" not in answer.sent[1].get("body", b"")
    twins(returns([Private(name="x"), Row()], response_model=list[Public]), "GET /")


@pytest.mark.parametrize("status", [100, 101, 200, 201, 204, 205, 304, 404])
@pytest.mark.parametrize("options", [{}, {"response_class": JSONResponse}, {"response_class": Response}])
def test_a_status_without_body_has_none(twins: Any, status: int, options: dict[str, Any]) -> None:
    value = b"x" if options.get("response_class") is Response else None
    twins(returns(value, status_code=status, response_model=None, **options), "GET /")


CLASSES = [HTMLResponse, PlainTextResponse, JSONResponse, RedirectResponse, Response, StreamingResponse]


@pytest.mark.parametrize("chosen", CLASSES, ids=lambda chosen: chosen.__name__)
def test_response_classes_make_the_answer(twins: Any, chosen: Any) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"part"

    values: list[Any] = [parts] if chosen is StreamingResponse else ["/text", None, {"a": 1}]
    for value in values:
        twins(returns(value, response_class=chosen), "GET /")
        twins(returns(value, response_class=chosen, status_code=202), "GET /")


def test_a_class_of_ones_own_makes_the_answer(twins: Any) -> None:
    class Enveloped(JSONResponse):
        media_type = "application/vnd.api+json"

        def render(self, content: Any) -> bytes:
            return super().render({"data": content})

    twins(returns(Wide(), response_class=Enveloped, response_model=Wide), "GET /")
    twins(returns(Wide(), response_class=Enveloped, response_model=None), "GET /")

    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI(default_response_class=Enveloped)

        @app.get("/")
        async def read() -> Wide:
            return Wide()

        return app

    twins(build, "GET /")


def test_headers_status_and_cookies_that_are_set_on_the_side_are_sent(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/", status_code=201)
        async def read(response: Response, status: int | None = None) -> Public:
            response.headers["X-Mixed-Case"] = "v"
            response.headers["content-type"] = "text/x"
            response.set_cookie("a", "b", max_age=1)
            response.set_cookie("c", "d")
            response.status_code = status  # type: ignore[assignment]  # None is what it was
            return Public(name="x")

        @app.get("/zero", status_code=0)
        async def zero() -> None:
            return None

        @app.get("/redirect", response_class=RedirectResponse)
        async def redirect(response: Response) -> str:
            response.headers["x"] = "y"
            return "/elsewhere"

        return app

    statuses = ("", "?status=200", "?status=204", "?status=0", "?status=304", "?status=500")
    twins(build, "GET /zero", "GET /redirect", *(f"GET /{status}" for status in statuses))


def test_background_tasks_run_after_the_answer_and_never_take_the_place_of_those_of_a_response(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read(background: BackgroundTasks) -> str:
            background.add_task(ledger.append, "mine")
            return "x"

        @app.get("/empty")
        async def empty(background: BackgroundTasks, own: str = "no") -> Response:
            background.add_task(ledger.append, "mine")
            return PlainTextResponse("x", background=BackgroundTask(ledger.append, "own") if own == "yes" else None)

        @app.get("/broken")
        async def broken(background: BackgroundTasks) -> str:
            background.add_task(int, "x")
            background.add_task(ledger.append, "never")
            return "x"

        @app.exception_handler(ValueError)
        async def handled(_request: Request, error: ValueError) -> Response:
            ledger.append(repr(error))
            return PlainTextResponse("handled")

        return app

    mine, empty, own, broken = twins(build, "GET /", "GET /empty", "GET /empty?own=yes", "GET /broken")
    assert (mine.ledger, empty.ledger, own.ledger, broken.ledger) == (["mine"], ["mine"], ["own"], [])
    assert broken.raised[0] == "RuntimeError: Caught handled exception, but response already started."


def test_an_answer_that_does_not_fit_says_where_its_endpoint_is(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app, router = FastAPI(), APIRouter()

        @router.get("/wrong/{p}")
        @app.get("/wrong/{p}")
        async def wrong(p: str) -> int:
            return p  # type: ignore[return-value]  # that is what is wrong

        @app.get("/thread")
        def in_thread() -> list[Public]:
            return [{"name": 1}]  # type: ignore[list-item]  # as above

        @app.exception_handler(ResponseValidationError)
        async def handled(_request: Request, error: ResponseValidationError) -> Response:
            return JSONResponse([error.errors(), error.endpoint_ctx, str(error.body)], 500)

        app.include_router(router, prefix="/in")
        return app

    asked = ["GET /wrong/x", "GET /thread", "GET /in/wrong/x", twins.ask("GET /api/wrong/x", root_path="/api")]
    answers = twins(build, *asked)
    assert b'"path":"GET /api/wrong/{p}"' in answers[-1].sent[1]["body"]


def test_the_answer_of_a_sync_endpoint_is_validated_in_a_thread(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        def note(value: str) -> str:
            ledger.append(threading.current_thread() is threading.main_thread())
            return value

        @app.get("/sync")
        def in_thread() -> Annotated[str, AfterValidator(note)]:
            return "x"

        @app.get("/async")
        async def awaited() -> Annotated[str, AfterValidator(note)]:
            return "x"

        return app

    in_thread, awaited = twins(build, "GET /sync", "GET /async")
    assert (in_thread.ledger, awaited.ledger) == ([False], [True])


def test_models_are_read_from_attributes(twins: Any) -> None:
    class Row:
        name = "row"
        number = 3
        text = None

    twins(returns(Row, response_model=Public), "GET /", "GET /thread")
    twins(returns(lambda: [Row()], response_model=list[Public], response_class=JSONResponse), "GET /")


def test_a_response_that_an_endpoint_returns_is_sent_as_it_is(twins: Any) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("in the middle")

    shared = PlainTextResponse("shared")
    made: list[Any] = [
        lambda: JSONResponse({"a": 1}, 201, {"x": "y"}), lambda: StreamingResponse(parts()), lambda: RedirectResponse("/"),
        lambda: StreamingResponse(broken()), lambda: Response(b"x", media_type="text/x"), lambda: shared,
    ]  # fmt: skip
    for make in made:
        twins(returns(make), "GET /", "GET /thread")
        twins(returns(make, response_model=Public, status_code=202), "GET /")
    twins(returns(lambda: Response(b"x")), *(twins.ask("GET /", send_fails=number) for number in (0, 1)))
    twins(returns({"a": 1}), *(twins.ask("GET /", send_fails=number) for number in (0, 1)))


def test_an_endpoint_that_streams_is_left_to_fastapi(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/lines")
        async def lines() -> AsyncIterator[Public]:
            yield Public(name="x")

        @app.get("/raw", response_class=StreamingResponse)
        async def raw() -> AsyncIterator[bytes]:
            yield b"x"

        return app

    twins(build, *(twins.ask(f"GET {path}", by="fastapi") for path in ("/lines", "/raw")))


def test_answers_are_typed_by_the_annotation_as_well(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/model")
        async def model() -> Public:
            return Private(name="x")

        @app.get("/constrained")
        async def constrained(n: int) -> Annotated[int, Field(gt=0)]:
            return n

        @app.get("/response")
        async def response() -> HTMLResponse:
            return HTMLResponse("x")

        return app

    twins(build, "GET /model", "GET /constrained?n=1", "GET /constrained?n=0", "GET /response")
