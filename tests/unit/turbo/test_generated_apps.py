"""Apps and requests that nobody would write: whatever is drawn, the twins answer the same."""

import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Security,
)
from fastapi.exceptions import FastAPIError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.security import APIKeyQuery, HTTPBearer, OAuth2PasswordBearer, SecurityScopes
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IN_CI = os.environ.get("LEYDEN_REQUIRE_SERVICES") == "1"
NAMES = ("a", "b", "c_d")
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
SCHEMES = (OAuth2PasswordBearer("token", auto_error=False), HTTPBearer(), APIKeyQuery(name="a", auto_error=False))


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    a: int = 1


class Item(BaseModel):
    a: int
    b: str | None = Field(None, alias="B")
    inner: Inner | None = None


class Wide(Item):
    secret: str = "secret"


class Group(BaseModel):
    a: int = 1
    c_d: list[str] = []


def even(value: int) -> int:
    if value % 2:
        raise ValueError("it is odd")
    return value


TYPES: dict[str, Any] = {
    "str": str, "int": int, "float": float, "bool": bool, "enum": Colour, "literal": Literal["1", "x"],
    "optional": int | None, "optional text": str | None, "list": list[int], "texts": list[str] | None, "any": Any,
    "even": Annotated[int, AfterValidator(even)], "short": Annotated[str, Field(max_length=2)],
}  # fmt: skip
DEFAULTS: tuple[Any, ...] = (..., ..., None, 2, "x", (1,))
PLACES: dict[str, Any] = {"query": Query, "header": Header, "cookie": Cookie}
BODIES: dict[str, Any] = {
    "model": Item, "embedded": Annotated[Item, Body(embed=True)], "optional": Annotated[Item | None, Body()],
    "list": list[Item], "number": Annotated[int, Body()], "anything": Annotated[Any, Body()],
    "form": Annotated[str, Form()], "form model": Annotated[Item, Form()],
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str
    type: str
    default: Any = ...
    alias: str | None = None
    factory: bool = False
    validate_default: bool = False

    def annotation(self, ledger: list[Any]) -> Any:
        options: dict[str, Any] = {"alias": self.alias} if self.alias else {}
        if self.place == "path":
            return Annotated[TYPES[self.type], Path(**options)]
        if self.factory:
            options["default_factory"] = lambda: ledger.append(f"made {self.name}")
        return Annotated[TYPES[self.type], PLACES[self.place](validate_default=self.validate_default, **options)]


@dataclass(frozen=True)
class Call:
    """A dependency, or the endpoint: what it takes, and what it does."""

    name: str
    kind: str = "async"
    parameters: tuple[Parameter, ...] = ()
    children: tuple["Child", ...] = ()
    given: tuple[str, ...] = ()
    group: str | None = None
    body: str | None = None
    outcome: str = "value"


@dataclass(frozen=True)
class Child:
    call: Call
    use_cache: bool = True
    lifetime: Literal["function", "request"] | None = None
    scopes: tuple[str, ...] = ()
    scheme: int | None = None


@dataclass(frozen=True)
class Drawn:
    """An app with one route."""

    endpoint: Call
    method: str
    options: dict[str, Any]
    prefixes: tuple[str, ...]
    around: tuple[Child, ...]
    middleware: bool
    handlers: bool
    late_override: bool
    path: tuple[Parameter, ...]

    def build(self, ledger: list[Any]) -> FastAPI:
        return Builder(ledger).app(self)


GIVEN: dict[str, Any] = {
    "request": Request,
    "response": Response,
    "background": BackgroundTasks,
    "scopes": SecurityScopes,
}


class Builder:
    """Makes functions of what was drawn; equal calls become the same function."""

    def __init__(self, ledger: list[Any]) -> None:
        self.ledger = ledger
        self.made: dict[Call, Any] = {}

    def app(self, drawn: Drawn) -> FastAPI:
        app = FastAPI(openapi_url=None)
        router = APIRouter()
        path = "/x" + "".join(f"/{{{parameter.alias or parameter.name}}}" for parameter in drawn.path)
        around = [self.depends(child) for child in drawn.around]
        router.add_api_route(path, self.function(drawn.endpoint), methods=[drawn.method], **drawn.options)
        for prefix in drawn.prefixes:
            outer = APIRouter()
            outer.include_router(router, prefix=prefix, dependencies=around)
            router, around = outer, []
        app.include_router(router, dependencies=around)
        if drawn.middleware:
            app.add_middleware(Noting, ledger=self.ledger)
        if drawn.handlers:
            app.add_exception_handler(LookupError, self.handled)
            app.add_exception_handler(409, self.handled)
        app.state.made = self.made
        return app

    async def handled(self, request: Request, error: Exception) -> Response:
        self.ledger.append([repr(error), request.method, dict(request.query_params), (await request.body()).decode()])
        return PlainTextResponse("handled", 418)

    def depends(self, child: Child) -> Any:
        if child.scheme is not None:
            return Security(SCHEMES[child.scheme], scopes=child.scopes)
        call = self.function(child.call)
        if child.scopes:
            return Security(call, scopes=child.scopes, use_cache=child.use_cache)
        lifetime = child.lifetime if child.call.kind in ("entered", "entered in a thread") else None
        return Depends(call, use_cache=child.use_cache, scope=lifetime)

    def function(self, call: Call) -> Any:
        if call not in self.made:
            made = getattr(self, KINDS[call.kind])(call)
            made.__name__ = call.name
            made.__signature__ = inspect.Signature(
                list(self.parameters(call)), return_annotation=inspect.Signature.empty
            )
            self.made[call] = made
        return self.made[call]

    def parameters(self, call: Call) -> Iterator[inspect.Parameter]:
        def one(name: str, annotation: Any, default: Any = ...) -> inspect.Parameter:
            default = inspect.Parameter.empty if default is ... else default
            default = list(default) if isinstance(default, tuple) else default
            return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)

        for parameter in call.parameters:
            default = ... if parameter.factory or parameter.place == "path" else parameter.default
            yield one(parameter.name, parameter.annotation(self.ledger), default)
        for number, child in enumerate(call.children):
            yield one(f"d{number}", Any, self.depends(child))
        for name in call.given:
            yield one(name, GIVEN[name])
        if call.group:
            yield one("group", Annotated[Group, PLACES[call.group]()])
        if call.body:
            yield one("body", BODIES[call.body])

    def awaited(self, call: Call) -> Any:
        async def made(**values: Any) -> Any:
            return self.run(call, values)

        return made

    def in_thread(self, call: Call) -> Any:
        def made(**values: Any) -> Any:
            return self.run(call, values)

        return made

    def entered(self, call: Call) -> Any:
        async def made(**values: Any) -> AsyncIterator[Any]:
            try:
                yield self.run(call, values)
            except LookupError as error:
                self.ledger.append(f"{call.name} saw {error!r}")
                raise
            finally:
                self.ledger.append(f"{call.name} left")

        return made

    def entered_in_thread(self, call: Call) -> Any:
        def made(**values: Any) -> Iterator[Any]:
            yield self.run(call, values)
            self.ledger.append(f"{call.name} left")

        return made

    def run(self, call: Call, values: dict[str, Any]) -> Any:
        self.ledger.append((call.name, {name: self.shown(value) for name, value in values.items()}))
        return OUTCOMES[call.outcome](call.name)

    def shown(self, value: Any) -> Any:
        if isinstance(value, BackgroundTasks):
            value.add_task(self.ledger.append, "background")
            return len(value.tasks)
        if isinstance(value, Request):
            return [value.url.path, dict(value.path_params), value.scope["route"].path]
        if isinstance(value, Response):
            value.headers.append("x-shown", str(len(value.headers)))
            return value.status_code
        return value.scopes if isinstance(value, SecurityScopes) else repr(value)


class Noting:
    def __init__(self, app: ASGIApp, ledger: list[Any]) -> None:
        self.app, self.ledger = app, ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            self.ledger.append(message["type"])
            await send(message)

        await self.app(scope, receive, noted)
        self.ledger.append(scope["route"] and scope["route"].path if "route" in scope else "no route")


def fails(error: Exception) -> Callable[[str], Any]:
    def fail(_name: str) -> Any:
        raise error

    return fail


KINDS = {"async": "awaited", "sync": "in_thread", "entered": "entered", "entered in a thread": "entered_in_thread"}
OUTCOMES: dict[str, Callable[[str], Any]] = {
    "value": lambda name: {"a": 3, "B": name}, "model": lambda name: Wide(a=1, B=name), "text": lambda name: name,
    "none": lambda _name: None, "response": lambda name: PlainTextResponse(name, 203, {"x-own": "1"}),
    "refused": fails(HTTPException(409, "no")), "error": fails(LookupError("lost")), "crash": fails(TypeError("crash")),
}  # fmt: skip

names = st.sampled_from(NAMES)
parameters = st.builds(
    Parameter, names, st.sampled_from([*PLACES]), st.sampled_from([*TYPES]), st.sampled_from(range(len(DEFAULTS))).map(DEFAULTS.__getitem__),
    st.sampled_from([None, None, None, "b", "x-al_ias"]), st.sampled_from([False, False, True]), st.booleans(),
)  # fmt: skip


def distinct(size: int) -> Any:
    return st.lists(parameters, max_size=size, unique_by=lambda each: each.name).map(tuple)


def calls(children: Any, outcomes: list[str], kinds: list[str], name: Any, bodies: list[str | None]) -> Any:
    return st.builds(
        Call, name, st.sampled_from(kinds), distinct(2), children, st.lists(st.sampled_from([*GIVEN]), max_size=1).map(tuple),
        st.sampled_from([None, None, None, *PLACES]), st.sampled_from(bodies), st.sampled_from(outcomes),
    )  # fmt: skip


def child(call: Any) -> Any:
    return st.builds(
        Child, call, st.booleans(), st.sampled_from(["function", "request", None]),
        st.sampled_from([(), (), ("s",), ("t", "s")]), st.sampled_from([None, None, None, 0, 1, 2]),
    )  # fmt: skip


INNER = [*["value"] * 9, "text", "refused", "error"]
leaves = calls(st.just(()), INNER, [*KINDS], st.sampled_from(["one", "two"]), [None, None, None, "number"])
branches = calls(st.lists(child(leaves), max_size=2).map(tuple), INNER, [*KINDS], st.just("three"), [None])
branch_children = st.lists(child(st.one_of(leaves, branches)), max_size=3).map(tuple)
endpoints = calls(
    branch_children, [*["value"] * 8, *OUTCOMES], ["async", "async", "sync"], st.just("endpoint"), [None, None, *BODIES]
)
options = st.fixed_dictionaries(
    {},
    optional={
        "response_model": st.sampled_from([None, Item, Item, Any, dict[str, Any], Item | None, str]),
        "response_class": st.sampled_from([JSONResponse, JSONResponse, JSONResponse, HTMLResponse, PlainTextResponse]),
        "status_code": st.sampled_from([201, 204, 404]),
        "response_model_exclude_unset": st.just(True),
        "response_model_by_alias": st.just(False),
        "response_model_exclude": st.just({"a"}),
    },
).filter(lambda drawn: drawn.get("status_code") != 204 or "response_model" not in drawn)
in_path = st.lists(
    st.builds(Parameter, names, st.just("path"), st.sampled_from(["str", "int", "enum", "even"])),
    max_size=2, unique_by=lambda each: each.name,
).map(tuple)  # fmt: skip
apps = st.builds(
    Drawn, endpoints, st.sampled_from(["GET", "POST"]), options, st.lists(st.sampled_from(["/p", "/q"]), max_size=2).map(tuple),
    st.lists(child(leaves), max_size=1).map(tuple), st.booleans(), st.booleans(), st.booleans(), in_path,
)  # fmt: skip

HOSTILE = ("", "x", "-1", "\xe9", "%31", "%ff", "null", "x y", "9" * 30, None)
FITTING = {
    "bool": "true", "enum": "red", "literal": "x", "str": "text", "optional text": "text", "short": "ok", "float": "1.5",
}  # fmt: skip
CONTENTS: dict[str | None, tuple[str, bytes]] = {
    None: ("application/json", b""),
    "model": ("application/json", b'{"a": "2", "B": "x", "inner": {}}'),
    "embedded": ("application/problem+json", b'{"body": {"a": 1, "B": null}}'),
    "optional": ("application/json", b"null"),
    "list": ("application/json", b'[{"a": 1}, {"a": 2}]'),
    "number": ("application/json", b"1"),
    "anything": ("text/plain", b"anything"),
    "form": ("application/x-www-form-urlencoded", b"body=x&body=y"),
    "form model": ("application/x-www-form-urlencoded", b"a=1&B=2"),
    "hostile": ("application/json", b'{"a": "x", "B": 1}'),
    "hostile form": ("application/x-www-form-urlencoded", b"a=x&c=%ff"),
    "broken": ("application/json", b'{"a"'),
    "bytes": ("application/octet-stream", b"\xff\xfe"),
    "several": ("application/json", b'{"one": 1, "two": 2, "body": {"a": 1}, "number": 3}'),
}


def all_of(drawn: Drawn) -> Iterator[Call]:
    waiting = [drawn.endpoint, *(child.call for child in drawn.around)]
    while waiting:
        call = waiting.pop()
        yield call
        waiting += [child.call for child in call.children]


@dataclass(frozen=True)
class Sent:
    """What is hostile in a request; everything else fits what was drawn."""

    hostile: dict[str, str | None]
    twice: bool
    content: str | None
    wrong: bool
    method: str | None
    chunks: int
    anonymous: bool

    def asked(self, twins: Any, drawn: Drawn) -> Any:
        found: dict[str, list[tuple[str, str]]] = {"query": [], "header": [], "cookie": []}
        for parameter in [each for call in all_of(drawn) for each in call.parameters]:
            name = parameter.alias or (parameter.name.replace("_", "-" if parameter.place == "header" else "_"))
            value = self.hostile.get(parameter.name, FITTING.get(parameter.type, "2"))
            if value is not None:
                found[parameter.place] += [(name, value)] * (1 + self.twice)
        path = "".join(f"/{self.hostile.get(each.name) or FITTING.get(each.type, '2')}" for each in drawn.path)
        line = f"{self.method or drawn.method} {''.join(reversed(drawn.prefixes))}/x{path}?" + "&".join(
            f"{name}={value}" for name, value in found["query"]
        )
        headers = found["header"] + ([] if self.anonymous else [("authorization", "Bearer x")])
        headers += [("cookie", f"{name}={value}") for name, value in found["cookie"]]
        body = next((call.body for call in all_of(drawn) if call.body), None)
        kind, content = CONTENTS[self.content if self.wrong else body]
        return twins.ask(
            line, headers=[*headers, ("content-type", kind)], events=list(self.events(content)), by="either"
        )

    def events(self, content: bytes) -> Iterator[dict[str, Any]]:
        size = len(content) // self.chunks
        for number in range(self.chunks):
            last = number == self.chunks - 1
            part = content[number * size : None if last else (number + 1) * size]
            yield {"type": "http.request", "body": part, "more_body": not last}


seldom = st.sampled_from([False, False, False, False, True])
sent = st.builds(
    Sent,
    st.one_of(st.just({}), st.just({}), st.dictionaries(st.sampled_from(NAMES), st.sampled_from(HOSTILE), max_size=2)),
    seldom, st.sampled_from([*CONTENTS]), seldom, st.sampled_from([*[None] * 9, "HEAD"]), st.sampled_from([1, 1, 2]), seldom,
)  # fmt: skip


def override(drawn: Drawn) -> Callable[[FastAPI], None]:
    """A dependency is overridden while the app runs, and is itself again the next time."""
    target = next((child.call for child in drawn.endpoint.children if child.scheme is None), None)

    def change(app: FastAPI) -> None:
        if app.dependency_overrides:
            app.dependency_overrides.clear()
        elif target is not None:
            app.dependency_overrides[app.state.made[target]] = lambda a="stand-in": a

    return change


@settings(
    max_examples=100,
    derandomize=IN_CI,
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(apps, st.lists(sent, min_size=2, max_size=4))
def test_whatever_app_is_drawn_answers_as_its_twin(twins: Any, drawn: Drawn, requests: list[Sent]) -> None:
    try:
        drawn.build([])
    except (AssertionError, FastAPIError):  # an app that nobody can write
        reject()
    steps = [each.asked(twins, drawn) for each in requests]
    if drawn.late_override:
        steps = [*steps, override(drawn), steps[0], override(drawn), steps[0]]
    twins(drawn.build, *steps)
