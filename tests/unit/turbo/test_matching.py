"""Which route serves a path: always the one that FastAPI would choose, whatever was declared in whatever order."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.requests import Request
from starlette.routing import Host, Mount, Route, Router

Declare = Callable[[Any, int], None]


def endpoint(number: int) -> Any:
    async def answer(request: Request) -> list[Any]:
        return [number, {name: repr(value) for name, value in request.path_params.items()}]

    return answer


def route(path: str, *methods: str) -> Declare:
    return lambda router, number: router.add_api_route(path, endpoint(number), methods=methods or ["GET"])


def mounted(path: str) -> Declare:
    def declare(router: Any, number: int) -> None:
        app = FastAPI(openapi_url=None)
        app.add_api_route("/{rest:path}", endpoint(number))
        router.mount(path, app)

    return declare


def of_starlette(path: str) -> Declare:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(repr(request.path_params))

    return lambda router, _number: router.routes.append(Route(path, answer, methods=["POST"]))


def included(prefix: str, *declared: Declare) -> Declare:
    def declare(router: Any, number: int) -> None:
        inner = APIRouter()
        for at, each in enumerate(declared):
            each(inner, number * 100 + at)
        router.include_router(inner, prefix=prefix)

    return declare


def app_with(*declared: Declare, **options: Any) -> Any:
    def build(_ledger: list[Any]) -> FastAPI:
        app = FastAPI(openapi_url=None, **options)
        for number, declare in enumerate(declared):
            declare(app.router, number)
        return app

    return build


SEGMENTS = [
    "a",
    "b",
    "{x}",
    "{x:int}",
    "{x:float}",
    "{x:uuid}",
    "{x:path}",
    "a{x}",
    "{x}.{y}",
    "{x:int}-{y}",
    "{y}",
    "",
]
templates = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
once = templates.filter(lambda path: all(path.count("{" + name) <= 1 for name in "xy"))
methods = st.lists(st.sampled_from(["GET", "POST", "HEAD"]), max_size=2, unique=True)
simple = st.builds(lambda path, chosen: route(path, *chosen), once, methods)
prefixes = st.sampled_from(["/a", "/p", "/{z}", "/a/{z:int}"])
declarations = st.one_of(
    simple,
    simple,
    st.builds(mounted, st.sampled_from(["/a", "/b/a", "/{z}", "/m/"])),
    st.builds(of_starlette, once),
    st.builds(included, prefixes, simple, simple),
    st.builds(included, prefixes, st.builds(included, prefixes, simple), simple),
)  # fmt: skip
paths = st.one_of(
    st.lists(
        st.sampled_from(
            ["a", "b", "1", "1.5", "ab", "a.b", "1-b", "", "a b", "%61", "a\n", "\u00e9", "c" * 36, "0" * 32]
        ),
        min_size=1,
        max_size=4,
    ).map(lambda parts: "/" + "/".join(parts)),
    st.sampled_from(["", "/", "//", "a", "/a/", "/a//", "/a\n", "\n", "/\n", "/a/b\n", "/p/a", "/m", "/m/", "/m/a"]),
)
asked = st.lists(st.tuples(st.sampled_from(["GET", "POST", "HEAD", "PUT"]), paths), min_size=4, max_size=10)


@settings(max_examples=150)
@given(st.lists(declarations, min_size=1, max_size=6), asked, st.sampled_from(["", "/a"]), st.booleans())
def test_the_same_route_answers_whatever_was_declared(
    twins: Any,
    declared: list[Declare],
    requests: list[tuple[str, str]],
    root: str,
    redirects: bool,  # noqa: FBT001
) -> None:
    steps = [twins.ask(f"{method} {path}", root_path=root, by="either") for method, path in requests]
    twins(app_with(*declared, redirect_slashes=redirects), *steps)


FIRST_WINS = [
    (("/{x}", "/me"), "/me"), (("/me", "/{x}"), "/me"), (("/{x:int}", "/1", "/{x}"), "/1"), (("/{x:path}", "/a/b"), "/a/b"),
    (("/a/b", "/{x:path}"), "/a/b"), (("/a/{x:path}", "/a/{y}/c"), "/a/b/c"), (("/a{x}", "/ab", "/{x}b"), "/ab"),
    (("/{x}/b", "/a/{x}"), "/a/b"), (("/a/{x}", "/{x}/b"), "/a/b"), (("/{x:float}", "/{x:int}"), "/1"),
    (("{x:path}", "/a"), "/a"), (("{x:path}", "/a"), "a"), (("a", "A"), "A"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "path"), FIRST_WINS)
def test_the_first_that_was_declared_wins(twins: Any, declared: tuple[str, ...], path: str) -> None:
    (answer,) = twins(app_with(*map(route, declared)), twins.ask(f"GET {path}", by="either"))
    assert answer.sent[1]["body"].startswith(b"[0,")


def test_a_dynamic_path_that_was_declared_first_wins_and_is_compiled(twins: Any) -> None:
    (answer,) = twins(app_with(route("/{x}"), route("/me")), "GET /me")
    assert answer.told["path_params"] == [("x", str, "me")]


def test_a_newline_at_the_end_matches_as_it_does(twins: Any) -> None:
    stock = [twins.ask(f"GET {path}", by="either") for path in ("/me\n", "/me\n\n", "/1\n", "/other\n", "/me")]
    first, second, *_ = twins(app_with(route("/me"), route("/{x:int}"), route("/{x}")), *stock)
    assert (first.sent[1]["body"], second.sent[1]["body"][:3]) == (b"[0,{}]", b"[2,")
    twins(app_with(route("/me\n"), route("/me")), *stock)
    twins(app_with(route("/me"), route("/me\n")), *stock)


def test_convertors_change_the_type_of_a_value(twins: Any) -> None:
    answers = twins(
        app_with(route("/i/{x:int}"), route("/f/{x:float}"), route("/u/{x:uuid}"), route("/p/{x:path}")),
        "GET /i/01", "GET /f/1", "GET /u/00000000000000000000000000000001", twins.ask("GET /p/a//b/"),
    )  # fmt: skip
    assert [answer.told["path_params"][0][1].__name__ for answer in answers] == ["int", "float", "UUID", "str"]


def test_a_convertor_of_ones_own_is_asked_as_often_as_fastapi_asks_it(
    twins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Noted(Convertor[str]):
        regex = "[a-z]+(/[a-z]+)?"

        def convert(self, value: str) -> str:
            twins.ledger.append(value)
            if value == "bad":
                raise LookupError(value)
            return value.upper()

        def to_string(self, value: str) -> str:
            return value

    monkeypatch.setitem(CONVERTOR_TYPES, "noted", Noted())
    declared = [route("/{x:noted}", "POST"), included("/in", route("/{x:noted}")), route("/{x}"), route("/{x}/{y}")]
    stock = [
        twins.ask(f"GET {path}", by="either") for path in ("/a", "/bad", "/a/b", "/in/a", "/in/bad", "/1", "/in/1")
    ]
    twins(app_with(*declared), *stock)


def test_a_number_that_is_too_long_fails_as_it_does(twins: Any) -> None:
    long = "9" * 5000
    for declared in ([route("/{x:int}")], [route("/{x:int}", "POST"), route("/{x}")], [route("/x")]):
        twins(app_with(*declared), twins.ask(f"GET /{long}", by="either"))


def test_a_route_for_every_method_is_one(twins: Any) -> None:
    def every(router: Any, number: int) -> None:
        router.add_api_route("/a", endpoint(number), methods=[], operation_id="every")

    requests = [twins.ask(f"{method} /a", by="either") for method in ("GET", "POST", "BREW")]
    twins(app_with(every, route("/a")), *requests)
    twins(app_with(route("/a"), every), *requests)


def test_methods_that_no_route_has_are_refused_as_they_are(twins: Any) -> None:
    declared = [route("/a"), route("/a", "POST"), route("/{x}", "PUT", "HEAD")]
    steps = [twins.ask(f"{method} /a", by="either") for method in ("GET", "POST", "PUT", "HEAD", "PATCH", "get")]
    answers = twins(app_with(*declared), *steps)
    assert [answer.sent[0]["status"] for answer in answers] == [200, 200, 200, 200, 405, 405]


class Mended(APIRoute):
    """A route of a class of its own."""

    def matches(self, scope: Any) -> Any:
        match, child = super().matches(scope)
        return match, {**child, "mended": True}


def own_class(path: str) -> Declare:
    return lambda router, number: router.routes.append(Mended(path, endpoint(number)))


def own_method(path: str) -> Declare:
    """A route whose `matches` was replaced on itself."""

    def declare(router: Any, number: int) -> None:
        made: Any = APIRoute(path, endpoint(number))
        original = made.matches
        made.matches = lambda scope: original({**scope, "path": "/a"})
        router.routes.append(made)

    return declare


def own_router(router: Any, number: int) -> None:
    class Own(APIRouter):
        pass

    inner = Own()
    inner.add_api_route("/a", endpoint(number))
    router.include_router(inner)


def host(router: Any, number: int) -> None:
    inner = APIRouter()
    inner.add_api_route("/a", endpoint(number))
    router.routes.append(Host("other.example", Router(routes=inner.routes)))


def whole_mount(router: Any, number: int) -> None:
    inner = APIRouter()
    inner.add_api_route("/a", endpoint(number))
    router.routes.append(Mount("", routes=inner.routes))


@pytest.mark.parametrize("odd", [own_class("/a"), own_class("/{x}"), own_method("/b"), own_router, host, whole_mount])
@pytest.mark.parametrize("prefix", [None, "/in"])
def test_what_turbo_does_not_know_keeps_its_place(twins: Any, odd: Declare, prefix: str | None) -> None:
    declared = [route("/first"), odd, route("/a"), route("/{x}")]
    if prefix:
        declared = [included(prefix, *declared), route("/in/a"), route("/a")]
    for at in ("first", "a", "b", "c"):
        headers = [("host", "other.example")]
        asked = [twins.ask(f"GET {prefix or ''}/{at}", headers=each, by="either") for each in ([], headers)]
        twins(app_with(*declared), *asked)


@pytest.fixture
def steps(twins: Any) -> Callable[..., list[Any]]:
    """The same requests before and after each change."""
    requests = [
        twins.ask(f"{method} {path}", by="either")
        for path in ("/a", "/b", "/c", "/in/a", "/in/b", "/in/deep/a")
        for method in ("GET", "POST")
    ]

    def made(*changes: Callable[[Any], Any]) -> list[Any]:
        return [*requests, *(step for change in changes for step in (change, *requests))]

    return made


def fixed(app: FastAPI) -> APIRouter:
    """The router that was included first."""
    return next(each.original_router for each in app.routes if hasattr(each, "original_router"))  # type: ignore[no-any-return]


DECLARED = [route("/a"), included("/in", route("/a"), included("/deep", route("/{x}"))), route("/{x}", "POST")]


def test_routes_that_are_added_removed_inserted_and_replaced_later_are_seen(twins: Any, steps: Any) -> None:
    def insert(app: FastAPI) -> None:
        app.router.routes.insert(0, APIRoute("/{x}", endpoint(50)))

    def replace(app: FastAPI) -> None:
        app.router.routes[1] = APIRoute("/a", endpoint(51), methods=["GET", "POST"])

    def assign(app: FastAPI) -> None:
        app.router.routes = [*app.router.routes[1:], APIRoute("/c", endpoint(52))]

    def extend(app: FastAPI) -> None:
        app.router.routes += [APIRoute("/b", endpoint(53))]

    twins(
        app_with(*DECLARED),
        *steps(
            lambda app: app.get("/b")(endpoint(40)),
            insert, replace, assign, extend,
            lambda app: app.router.routes.reverse(),
            lambda app: app.router.routes.pop(0),
            lambda app: app.router.routes.sort(key=lambda each: getattr(each, "path", "")),
            lambda app: app.router.routes.__delitem__(slice(0, 2)),
            lambda app: app.router.routes.clear(),
            lambda app: app.include_router(APIRouter(routes=[APIRoute("/a", endpoint(54))]), prefix="/in"),
        ),
    )  # fmt: skip


def test_routes_that_an_included_router_gets_later_are_seen_where_fastapi_sees_them(twins: Any, steps: Any) -> None:
    twins(
        app_with(*DECLARED),
        *steps(
            lambda app: fixed(app).get("/b")(endpoint(40)),
            lambda app: fixed(app).routes.insert(0, APIRoute("/{x}", endpoint(41))),
            lambda app: fixed(app).post("/{x}")(endpoint(42)),
            lambda app: included("/deep", route("/a", "GET", "POST"))(fixed(app), 43),
            lambda app: fixed(app).routes.clear(),
            lambda app: fixed(app).get("/c")(endpoint(44)),
        ),
    )


def test_an_app_that_a_route_gets_later_is_the_one_that_serves(twins: Any) -> None:
    def wrap(app: FastAPI) -> None:
        served: Any = app.routes[-1]
        served.app = PlainTextResponse("wrapped")

    build = app_with(route("/a"), route("/{x}"))
    twins(build, "GET /b", wrap, twins.ask("GET /b", by="fastapi"), "GET /a")


def test_a_router_that_cannot_be_read_does_no_harm_to_others(twins: Any) -> None:
    def broken(router: Any, number: int) -> None:
        inner = APIRouter()
        inner.add_api_route("/x", endpoint(number))
        router.include_router(inner, prefix="/broken")
        inner.routes[0].endpoint = None  # type: ignore[attr-defined]  # which FastAPI finds out when it gets there

    twins(
        app_with(route("/a"), broken, route("/b")),
        *(twins.ask(f"GET {path}", by="either") for path in ("/a", "/b", "/broken/x")),
    )
