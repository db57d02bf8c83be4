"""Dependencies: how often each one runs, where, in which order, and when it is left."""

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Security
from fastapi.responses import StreamingResponse
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPBasic,
    HTTPBearer,
    OAuth2PasswordBearer,
    SecurityScopes,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SendingNoted:
    """Middleware that notes what is sent, so that the ledger shows what came before and after it."""

    def __init__(self, app: ASGIApp, ledger: list[Any]) -> None:
        self.app = app
        self.ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            self.ledger.append(message["type"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self.ledger.append("left")


def test_a_dependency_is_cached_by_call_scopes_and_lifetime(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()
        scheme = OAuth2PasswordBearer("token", auto_error=False)

        async def plain() -> int:
            ledger.append("plain")
            return len(ledger)

        async def scoped(scopes: SecurityScopes, _token: Annotated[str | None, Depends(scheme)]) -> list[str]:
            ledger.append(scopes.scopes)
            return scopes.scopes

        async def entered() -> AsyncIterator[int]:
            ledger.append("entered")
            yield len(ledger)
            ledger.append("left")

        @app.get("/")
        async def read(
            a: Annotated[int, Depends(plain)],
            b: Annotated[int, Depends(plain)],
            c: Annotated[list[str], Security(scoped, scopes=["x"])],
            d: Annotated[list[str], Security(scoped, scopes=["y"])],
            e: Annotated[list[str], Security(scoped, scopes=["x"])],
            f: Annotated[int, Depends(plain, scope="function")],
        ) -> list[Any]:
            return [a, b, c, d, e, f]

        @app.get("/entered")
        async def lifetimes(
            a: Annotated[int, Depends(entered)],
            b: Annotated[int, Depends(entered, scope="function")],
            c: Annotated[int, Depends(entered)],
            d: Annotated[int, Depends(entered, scope="request")],
        ) -> list[int]:
            return [a, b, c, d]

        return app

    plain, lifetimes = twins(build, "GET /", "GET /entered")
    assert plain.ledger == ["plain", ["x"], ["y"], "plain"]
    assert lifetimes.ledger == ["entered", "entered", "left", "left"]


def test_a_dependency_that_is_not_cached_runs_again_and_so_do_the_uncached_children_of_a_cached_one(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def child(q: int = 0) -> int:
            ledger.append(f"child {q}")
            return len(ledger)

        async def parent(a: Annotated[int, Depends(child, use_cache=False)]) -> int:
            ledger.append("parent")
            return a

        @app.get("/")
        async def read(
            a: Annotated[int, Depends(parent)],
            b: Annotated[int, Depends(parent)],
            c: Annotated[int, Depends(parent, use_cache=False)],
            d: Annotated[int, Depends(child)],
            e: Annotated[int, Depends(child, use_cache=False)],
        ) -> list[int]:
            return [a, b, c, d, e]

        return app

    answer, refused = twins(build, "GET /", "GET /?q=x")
    assert answer.ledger == ["child 0", "parent", "child 0", "child 0", "parent", "child 0"]
    assert (refused.sent[0]["status"], refused.ledger) == (422, [])


def test_scopes_accumulate_from_parents(twins: Any) -> None:
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()
        scheme = OAuth2PasswordBearer("token", scopes={"a": "A", "b": "B"})

        async def user(scopes: SecurityScopes, token: Annotated[str, Depends(scheme)]) -> str:
            ledger.append([*scopes.scopes, scopes.scope_str])
            scopes.scopes.append("changed")
            return token

        async def active(user: Annotated[str, Security(user, scopes=["a"])], scopes: SecurityScopes) -> str:
            ledger.append(scopes.scopes)
            return user

        @app.get("/", dependencies=[Security(user, scopes=["c"])])
        async def read(user: Annotated[str, Security(active, scopes=["b", "a"])], scopes: SecurityScopes) -> list[Any]:
            return [user, scopes.scopes]

        return app

    bearer = twins.ask("GET /", headers=[("authorization", "Bearer x")])
    answer, _, refused = twins(build, bearer, bearer, "GET /")
    assert answer.ledger == [["c", "c"], ["b", "a", "b a"], ["b", "a"]]
    assert refused.sent[0]["status"] == 401


SCHEMES = [
    OAuth2PasswordBearer("token"), HTTPBasic(), HTTPBearer(), APIKeyHeader(name="x-key"), APIKeyQuery(name="key"),
    APIKeyCookie(name="key"), HTTPBasic(auto_error=False), HTTPBearer(auto_error=False),
]  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: type(scheme).__name__)
def test_security_schemes_answer_as_they_do(twins: Any, scheme: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read(found: Annotated[Any, Security(scheme)]) -> str:
            return repr(found)

        return app

    headers = [
        [], [("authorization", "Bearer x")], [("authorization", "bearer x")], [("authorization", "Basic eDp5")],
        [("authorization", "Basic !")], [("authorization", "Basic")], [("x-key", "k")], [("cookie", "key=k")],
        [("authorization", "Digest x"), ("authorization", "Bearer y")],
    ]  # fmt: skip
    twins(build, "GET /?key=k", *(twins.ask("GET /", headers=each) for each in headers))


def test_sync_calls_run_in_threads_and_async_ones_do_not(twins: Any) -> None:  # noqa: C901 -- many small functions
    def build(ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        def here() -> bool:
            return threading.current_thread() is threading.main_thread()

        def sync() -> bool:
            return here()

        async def coroutine() -> bool:
            return here()

        class Called:
            def __init__(self) -> None:
                self.here = here()

            def __call__(self) -> bool:
                return here()

        class Awaited:
            async def __call__(self) -> bool:
                return here()

        def entered() -> Iterator[bool]:
            ledger.append(here())
            yield here()
            ledger.append(here())

        @app.get("/sync")
        def in_thread(
            a: Annotated[bool, Depends(sync)],
            b: Annotated[bool, Depends(coroutine)],
            c: Annotated[Called, Depends()],
            d: Annotated[bool, Depends(Called())],
            e: Annotated[bool, Depends(Awaited())],
        ) -> list[bool]:
            return [here(), a, b, c.here, d, e]

        @app.get("/entered")
        async def with_entered(a: Annotated[bool, Depends(entered)]) -> list[bool]:
            return [here(), a]

        return app

    answer, entered = twins(build, "GET /sync", "GET /entered")
    assert answer.sent[1]["body"] == b"[false,false,true,false,false,true]"
    assert (entered.ledger, entered.sent[1]["body"]) == ([False, False], b"[true,false]")


def test_dependencies_may_be_callables_of_all_kinds(twins: Any) -> None:  # noqa: C901 -- many small functions
    class Service:
        def __init__(self, q: int = 1, token: str | None = Header(None)) -> None:
            self.found = [q, token]

        def method(self, r: int = 2) -> int:
            return r

        async def awaited(self, s: int = 3) -> int:
            return s

        @classmethod
        def made(cls, t: int = 4) -> int:
            return t

        @staticmethod
        async def static(u: int = 5) -> int:
            return u

    @dataclass
    class Compared:
        """Cannot be hashed, since it can be compared."""

        def __call__(self, v: int = 6) -> int:
            return v

    def decorated(call: Any) -> Any:
        @wraps(call)
        async def wrapper(*arguments: Any, **named: Any) -> Any:
            return [await call(*arguments, **named)]

        return wrapper

    async def plain(a: int, b: int = 7) -> int:
        return a + b

    service = Service()
    calls = (
        Service, service.method, service.awaited, Service.made, Service.static, partial(plain, 1), decorated(plain),
        lambda q=1: q, Compared(), partial(Service, 9),
    )  # fmt: skip

    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()
        for number, call in enumerate(calls):

            @app.get(f"/{number}")
            async def read(found: Annotated[Any, Depends(call)], again: Annotated[Any, Depends(call)]) -> str:
                return repr([getattr(found, "found", found), found is again])

        @app.get("/class")
        class Endpoint:
            def __init__(self, q: int) -> None:
                self.q = q

        app.get("/partial")(partial(plain, b=3))
        app.get("/method")(service.awaited)
        return app

    paths = (*range(len(calls)), "class", "partial", "method")
    twins(build, *(twins.ask(f"GET /{path}?q=1&a=2&{more}", by="either") for path in paths for more in ("", "b=x&r=x")))


def test_a_dependency_that_few_may_use_at_a_time_is_left_to_fastapi(twins: Any) -> None:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI()

        async def few() -> str:
            return "x"

        @app.get("/")
        async def read(a: Annotated[str, Depends(few, max_concurrency=1)]) -> str:
            return a

        return app

    twins(build, twins.ask("GET /", by="fastapi"))


def lifetimes(ledger: list[Any]) -> FastAPI:  # noqa: C901 -- many small functions
    """Dependencies of both lifetimes, sync and async, around endpoints that succeed, fail and stream."""
    app = FastAPI()
    app.add_middleware(SendingNoted, ledger=ledger)

    async def request_scoped(background: BackgroundTasks) -> AsyncIterator[str]:
        background.add_task(ledger.append, "background")
        ledger.append("enter request")
        try:
            yield "request"
        except Exception as error:
            ledger.append(repr(error))
            raise
        finally:
            ledger.append("leave request")

    def function_scoped(outer: Annotated[str, Depends(request_scoped)]) -> Iterator[str]:
        ledger.append("enter function")
        try:
            yield f"function in {outer}"
        finally:
            ledger.append("leave function")

    entered = Annotated[str, Depends(function_scoped, scope="function")]

    @app.get("/")
    async def read(a: entered) -> str:
        ledger.append("endpoint")
        return a

    @app.get("/refused")
    async def refused(a: entered) -> str:
        raise HTTPException(409, a)

    @app.get("/broken")
    async def broken(a: entered) -> str:
        raise LookupError(a)

    @app.get("/wrong")
    async def wrong(a: entered) -> int:
        return a  # type: ignore[return-value]  # the answer is refused while the function's scope is open

    @app.get("/stream")
    async def stream(a: entered) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            ledger.append("part")
            yield a.encode()

        return StreamingResponse(parts())

    @app.get("/invalid")
    async def invalid(a: entered, q: int) -> str:
        return f"{a} {q}"

    return app
