"""Parameters of the path, the query, headers and cookies: which value counts, and what stands in for a missing one."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from fastapi import Cookie, FastAPI, Header, Path, Query
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, Json


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Filters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(10, gt=0)
    tags: list[str] = []
    order_by: Literal["a", "b"] = "a"


class Common(BaseModel):
    user_agent: str | None = None
    x_token: list[str] = []


def one(annotation: Any, default: Any = ...) -> Any:
    """An app whose one route reads one parameter, called `value`."""

    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def read(value):  # type: ignore[no-untyped-def]
            first = repr(value)
            if isinstance(value, list):
                value.append("changed")
            return first

        read.__annotations__["value"] = annotation
        read.__defaults__ = None if default is ... else (default,)
        app.get("/")(read)
        return app

    return build


QUERIES = [
    "", "value=1", "value=", "value", "value=1&value=2", "value=x&value=2", "Value=1", "value=%31", "v%61lue=1", "value=+1",
    "value=1&&value=3", "&value=1", "value=1=2", "value=red", "value=%ff", "value=[1,2]", "value=1;value=2", "alias=3",
    "value=true", "other=1", "value=\xe9", "value=%00", "a=4", "b=5", "a=4&b=5", "value=1&alias=2",
]  # fmt: skip
ANNOTATIONS: dict[str, tuple[Any, Any]] = {
    "str": (str, ...),
    "str or None": (str | None, None),
    "text with a default": (str, "x"),
    "int": (int, ...),
    "int with a default": (int, 3),
    "int or None": (int | None, None),
    "optional without a default": (int | None, ...),
    "float": (float, float("inf")),
    "bool": (bool, False),
    "enum": (Colour, Colour.BLUE),
    "enum without a default": (Colour, ...),
    "literal": (Literal["1", "red"], ...),
    "bytes": (bytes, b"x"),
    "list": (Annotated[list[int], Query()], ...),
    "list with a default": (Annotated[list[str], Query()], ["x"]),
    "list or None": (Annotated[list[int] | None, Query()], None),
    "set": (Annotated[set[int], Query()], ...),
    "tuple": (Annotated[tuple[int, int], Query()], ...),
    "json": (Annotated[Json[list[int]], Query()], ...),
    "json or none": (Annotated[Json[list[int]] | None, Query()], None),
    "constrained": (Annotated[int, Query(gt=1, lt=3)], ...),
    "constrained text": (Annotated[str, Query(min_length=1, max_length=2, pattern="^[0-9]+$")], "default"),
    "validated default": (Annotated[int, Query(validate_default=True)], "x"),
    "validated default that is right": (Annotated[int, Query(validate_default=True)], "3"),
    "default factory": (Annotated[list[int], Query(default_factory=list)], ...),
    "alias": (Annotated[int, Query(alias="alias")], ...),
    "alias of a list": (Annotated[list[int], Query(alias="alias")], []),
    "validation alias": (Annotated[int, Query(validation_alias="alias")], 9),
    "alias choices": (Annotated[int, Query(validation_alias=AliasChoices("a", "b"))], ...),
    "alias choices of a list": (Annotated[list[int], Query(validation_alias=AliasChoices("a", "b"))], [1]),
    "model": (Annotated[Filters, Query()], ...),
    "stripped": (Annotated[str, Field(strict=True)], ...),
    "any": (Any, None),
}


@pytest.mark.parametrize(("annotation", "default"), ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_a_query_parameter_means_what_it_means_to_fastapi(twins: Any, annotation: Any, default: Any) -> None:
    twins(one(annotation, default), *(twins.ask(f"GET /?{query}") for query in QUERIES))


def test_of_a_header_that_comes_twice_the_first_counts_and_of_a_query_key_the_last(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read(
            q: str, x_a: Annotated[str, Header()], x_b: Annotated[list[str], Header()], n: int = 0
        ) -> list[Any]:
            return [q, x_a, x_b, n]

        @app.get("/listed")
        async def listed(q: str, n: Annotated[list[str], Query()]) -> list[Any]:
            return [q, n]

        return app

    headers = [("x-a", "first"), ("x-a", "second"), ("x-b", "1"), ("x-b", "2"), ("x-b", "1, 2")]
    query = "q=first&n=x&q=second&n=2"
    answer, listed = twins(build, twins.ask(f"GET /?{query}", headers=headers), f"GET /listed?{query}")
    assert answer.sent[1]["body"] == b'["second","first",["1","2","1, 2"],2]'
    assert listed.sent[1]["body"] == b'["second",["x","2"]]'


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (Annotated[str, Header()], ...), (Annotated[str | None, Header()], None), (Annotated[int, Header()], 4),
        (Annotated[str, Header(convert_underscores=False)], ...), (Annotated[str, Header(alias="X-Other_Name")], "d"),
        (Annotated[list[int], Header()], ...), (Annotated[list[str] | None, Header()], None),
        (Annotated[str, Header(validation_alias=AliasChoices("x-a", "value"))], ...), (Annotated[Common, Header()], ...),
        (Annotated[str, Header(alias="\u0142")], "beyond Latin-1"), (Annotated[Json[list[int]], Header()], ...),
    ],
)  # fmt: skip
def test_a_header_means_what_it_means_to_fastapi(twins: Any, annotation: Any, default: Any) -> None:
    headers = [
        [], [("value", "1")], [("value", "x"), ("value", "2")], [("value", "")], [("x-other_name", "o")],
        [("x-other-name", "o")], [("x-a", "1"), ("value", "2")], [("user-agent", "me"), ("x-token", "1"), ("x-token", "2")],
        [("value", "\xe9")], [("value", "[1]")], [("user_agent", "me")],
    ]  # fmt: skip
    twins(one(annotation, default), *(twins.ask("GET /", headers=each) for each in headers))


def test_a_header_with_an_underscore_in_its_name_is_written_with_a_hyphen(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read(x_long_name: Annotated[str, Header()] = "none") -> str:
            return x_long_name

        return app

    good, bad = twins(
        build,
        twins.ask("GET /", headers=[("x-long-name", "hyphen")]),
        twins.ask("GET /", headers=[("x_long_name", "underscore")]),
    )
    assert (good.sent[1]["body"], bad.sent[1]["body"]) == (b'"hyphen"', b'"none"')


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (Annotated[str, Cookie()], ...), (Annotated[int | None, Cookie()], None), (Annotated[list[int], Cookie()], [1]),
        (Annotated[str, Cookie(alias="a")], "x"), (Annotated[Filters, Cookie()], ...),
        (Annotated[Json[list[int]], Cookie()], ...),
    ],
)  # fmt: skip
def test_cookies_of_several_headers_are_one(twins: Any, annotation: Any, default: Any) -> None:
    headers = [
        [], [("cookie", "value=1; a=2")], [("cookie", "value=1"), ("cookie", "a=2")],
        [("cookie", "value=1"), ("cookie", "value=2")], [("cookie", 'value="1\\0542"')], [("cookie", "value")],
        [("cookie", "")], [("cookie", "; =; value=")], [("cookie", "value=[1,2]")], [("cookie", "limit=0")],
        [("cookie", "value=1=2;value =3")],
    ]  # fmt: skip
    twins(one(annotation, default), *(twins.ask("GET /", headers=each) for each in headers))


def test_a_default_is_made_anew_for_each_request(twins: Any) -> None:
    answers = twins(one(Annotated[list[str], Query()], ["x"]), "GET /", "GET /", "GET /?value=y", "GET /")
    assert answers[0].sent == answers[1].sent == answers[3].sent


def test_a_default_that_must_be_valid_is_validated(twins: Any) -> None:
    (answer,) = twins(one(Annotated[int, Query(validate_default=True)], "x"), "GET /")
    assert answer.sent[0]["status"] == 422


def test_the_first_of_several_names_that_was_sent_counts(twins: Any) -> None:
    both, second = twins(
        one(Annotated[int, Query(validation_alias=AliasChoices("a", "b"))]), "GET /?b=2&a=1", "GET /?b=2"
    )
    assert (both.sent[1]["body"], second.sent[1]["body"]) == (b'"1"', b'"2"')


def test_a_list_that_is_json_is_one_text(twins: Any) -> None:
    (answer,) = twins(one(Annotated[Json[list[int]], Query()]), "GET /?value=[1]&value=[1,2]")
    assert answer.sent[1]["body"] == b'"[1, 2]"'


PATHS = [
    "/1",
    "/x",
    "/-1",
    "/%31",
    "/red",
    "/a b",
    "/\ud800",
    "/00000000-0000-0000-0000-000000000001",
    "/" + "9" * 5000,
]


@pytest.mark.parametrize("declared", ["{value}", "{value:int}", "{value:float}", "{value:uuid}"])
@pytest.mark.parametrize(
    "annotation",
    [
        str, int, float, Colour, Any, Annotated[int, Path(gt=0)], Annotated[str, Path(alias="value")],
        Annotated[str, Path(validation_alias=AliasChoices("other", "value"))],
    ],
)  # fmt: skip
def test_a_path_parameter_means_what_it_means_to_fastapi(twins: Any, declared: str, annotation: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def read(value):  # type: ignore[no-untyped-def]
            return repr(value)

        read.__annotations__["value"] = annotation
        app.get(f"/{declared}")(read)
        return app

    twins(build, *(twins.ask(f"GET {path}", by="either", raw_path=None) for path in PATHS))
