"""In which order things happen in a request, and when what has been changed since is seen."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any

from fastapi import Body, Cookie, Depends, FastAPI, Header, Query, Request
from fastapi.dependencies.utils import get_parameterless_sub_dependant
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

TENANT: ContextVar[str] = ContextVar("tenant", default="none")
SCOPE: ContextVar[Scope] = ContextVar("scope")


class ScopeKept:
    """Middleware that gives the scope to whoever asks for it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = SCOPE.set(scope)
        await self.app(scope, receive, send)
        SCOPE.reset(token)


def noted(ledger: list[Any], name: str) -> Any:
    def note(value: Any) -> Any:
        ledger.append((name, value))
        return value

    return AfterValidator(note)


def test_an_override_that_a_dependency_installs_counts_from_there_on(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def stand_in(b: int = 7) -> str:
            ledger.append("stand-in")
            return f"stand-in {b}"

        async def first(a: int) -> int:
            app.dependency_overrides[second] = stand_in
            return a

        async def second() -> str:
            ledger.append("second")
            return "second"

        @app.get("/")
        async def read(a: Annotated[int, Depends(first)], b: Annotated[str, Depends(second)]) -> list[Any]:
            return [a, b]

        return app

    clear: Callable[[FastAPI], None] = lambda app: app.dependency_overrides.clear()  # noqa: E731
    twins(build, "GET /?a=1", twins.ask("GET /?a=1", by="fastapi"), clear, "GET /?a=2&b=x", clear, "GET /?a=x")


def test_what_was_solved_before_a_late_override_is_not_solved_again(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def shared() -> int:
            ledger.append("shared")
            return len(ledger)

        async def install() -> None:
            app.dependency_overrides[other] = stand_in

        async def other() -> int:
            return 0

        async def stand_in(a: Annotated[int, Depends(shared)]) -> int:
            return a

        @app.get("/")
        async def read(
            a: Annotated[int, Depends(shared)],
            _: Annotated[None, Depends(install)],
            b: Annotated[int, Depends(other)],
            c: Annotated[int, Depends(shared)],
            d: Annotated[int, Depends(shared, use_cache=False)],
        ) -> list[int]:
            return [a, b, c, d]

        return app

    (answer,) = twins(build, "GET /")
    assert answer.sent[1]["body"] == b"[1,1,1,2]"


def test_an_override_that_is_installed_while_the_body_comes_counts(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def user() -> str:
            return "stock"

        @app.post("/")
        async def write(number: Annotated[int, Body()], name: Annotated[str, Depends(user)]) -> list[Any]:
            return [number, name]

        app.state.user = user
        return app

    async def install(app: FastAPI) -> Any:
        app.dependency_overrides[app.state.user] = lambda: "stand-in"
        return {"type": "http.request", "body": b"1", "more_body": False}

    (answer,) = twins(build, twins.ask("POST /", headers=[("content-type", "application/json")], events=[install]))
    assert answer.sent[1]["body"] == b'[1,"stand-in"]'


def test_a_validator_sees_what_a_dependency_has_set(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def enter(tenant: str) -> None:
            TENANT.set(tenant)

        def prefixed(value: str) -> str:
            return f"{TENANT.get()}:{value}"

        @app.get("/", dependencies=[Depends(enter)])
        async def read(name: Annotated[str, AfterValidator(prefixed)]) -> str:
            return name

        return app

    (answer,) = twins(build, "GET /?tenant=acme&name=x")
    assert answer.sent[1]["body"] == b'"acme:x"'


def test_query_and_cookies_are_parsed_before_dependencies_run_and_headers_and_path_are_live(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def change(request: Request) -> None:
            scope = request.scope
            scope["query_string"] = b"q=changed"
            scope["headers"] += [(b"x-late", b"late"), (b"cookie", b"c=changed")]
            scope["path_params"] = {"p": "changed"}

        @app.get("/{p}", dependencies=[Depends(change)])
        async def read(
            p: str, q: str, c: Annotated[str, Cookie()], x_late: Annotated[str, Header()] = "none"
        ) -> list[str]:
            return [p, q, c, x_late]

        return app

    (answer,) = twins(build, twins.ask("GET /early?q=early", headers=[("cookie", "c=early")]))
    assert answer.sent[1]["body"] == b'["changed","early","early","late"]'


def test_a_dependency_without_the_request_may_change_the_scope_too(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()
        app.add_middleware(ScopeKept)

        async def change() -> None:
            scope = SCOPE.get()
            scope["path_params"] = {"p": "changed"}
            scope["headers"] += [(b"x-late", b"late"), (b"cookie", b"c=changed")]
            scope["query_string"] = b"q=changed"

        @app.get("/{p}", dependencies=[Depends(change)])
        async def read(
            p: str, q: str, c: Annotated[str, Cookie()], x_late: Annotated[str, Header()] = "none"
        ) -> list[str]:
            return [p, q, c, x_late]

        return app

    (answer,) = twins(build, twins.ask("GET /early?q=early", headers=[("cookie", "c=early")]))
    assert answer.sent[1]["body"] == b'["changed","early","early","late"]'


def test_validators_and_default_factories_run_once_a_request_even_where_it_is_refused(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        def made() -> int:
            ledger.append("made")
            return len(ledger)

        @app.post("/")
        async def write(
            a: Annotated[int, noted(ledger, "a")],
            body: Annotated[dict[str, int], noted(ledger, "body")],
            b: Annotated[int, Query(default_factory=made), noted(ledger, "b")],
            c: Annotated[int, Query(default_factory=made, validate_default=True), noted(ledger, "c")],
        ) -> Annotated[list[int], noted(ledger, "answer")]:
            return [a, b, c, *body.values()]

        return app

    good, bad = twins(
        build, twins.ask("POST /?a=1", json_body={"x": 1}), twins.ask("POST /?a=1&b=x", json_body={"x": 1})
    )
    assert len(good.ledger) == 6
    assert bad.sent[0]["status"] == 422


def test_attributes_of_a_route_that_are_changed_after_it_was_made_change_nothing(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read() -> dict[str, int]:
            return {"a": 1}

        return app

    def change(app: FastAPI) -> None:
        route: Any = app.routes[-1]
        route.status_code, route.response_class, route.response_field = 201, HTMLResponse, None
        route.response_model_include = {"b"}

    twins(build, change, "GET /", change, "GET /")


def test_parameters_and_dependencies_that_a_route_gets_later_are_heeded(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def late(q: int) -> None:
            ledger.append(q)

        @app.get("/")
        async def read(**more: int) -> dict[str, int]:
            return more

        @app.get("/b")
        async def other(b: int) -> int:
            return b

        app.state.late = Depends(late)
        return app

    def more_dependencies(app: FastAPI) -> None:
        route: Any = app.routes[-2]
        dependant = get_parameterless_sub_dependant(depends=app.state.late, path="/")
        route.dependant.dependencies.append(dependant)

    def more_parameters(app: FastAPI) -> None:
        route, other = app.routes[-2:]
        route.dependant.query_params += other.dependant.query_params  # type: ignore[attr-defined]

    first, _, refused, last = twins(
        build, "GET /?b=1&more=1", more_dependencies, "GET /?q=1&more=1", "GET /?more=1", more_parameters,
        "GET /?q=1&b=2&more=1",
    )  # fmt: skip
    assert first.ledger == []
    assert refused.sent[0]["status"] == 422
    assert last.sent[1]["body"] != first.sent[1]["body"]


def test_a_call_that_is_replaced_later_is_the_one_that_is_called(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def user() -> str:
            return "user"

        @app.get("/")
        async def read(name: Annotated[str, Depends(user)]) -> str:
            return name

        def wrapped(call: Any) -> Any:
            def wrapper(**named: Any) -> Any:  # no coroutine function, as tools that trace calls make them
                ledger.append("wrapped")
                return call(**named)

            return wrapper

        app.state.wrapped = wrapped
        return app

    def wrap(app: FastAPI) -> None:
        route: Any = app.routes[-1]
        route.dependant.call = app.state.wrapped(route.dependant.call)

    def wrap_dependency(app: FastAPI) -> None:
        route: Any = app.routes[-1]
        call = route.dependant.dependencies[0].call

        async def wrapper() -> str:
            return f"{await call()}, wrapped"

        route.dependant.dependencies[0].call = wrapper

    twins(build, "GET /", wrap, twins.ask("GET /", by="fastapi"), wrap_dependency, twins.ask("GET /", by="fastapi"))
    twins(build, wrap, "GET /", wrap_dependency, twins.ask("GET /", by="fastapi"))


def test_an_error_of_a_validator_that_refuses_nothing_surfaces_as_it_is(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        def broken(value: str) -> str:
            raise KeyError(value)

        @app.get("/")
        async def read(q: Annotated[str, AfterValidator(broken)]) -> str:
            return q

        @app.get("/answer")
        async def answer() -> Annotated[str, AfterValidator(broken)]:
            return "x"

        @app.exception_handler(LookupError)
        async def handled(_request: Request, error: LookupError) -> HTMLResponse:
            return HTMLResponse(repr(error), 418)

        return app

    first, second = twins(build, "GET /?q=1", "GET /answer")
    assert first.sent[0]["status"] == second.sent[0]["status"] == 418
