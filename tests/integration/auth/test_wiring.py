"""The battery in an app: prefix, parts left out, keys from a file, sockets, the description of the API."""

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from fastapi import FastAPI, WebSocket
from httpx2 import ASGITransport, AsyncClient
from starlette.testclient import TestClient, WebSocketDenialResponse

from leyden import create_app
from leyden.auth import AuthSettings, CurrentUser, errors
from leyden.auth import battery as accounts
from leyden.core import BatteryOrderError, ConfigurationError, LeydenError, Resources, Stage, identity_of, run_checks
from leyden.data import ConflictError, DataSettings
from leyden.data import battery as data
from leyden.http import HttpSettings
from leyden.http import battery as http_edge
from leyden.testing import client

if TYPE_CHECKING:
    from tests.integration.auth.conftest import MakeApp, MakeSite

CHEAP: dict[str, Any] = {
    "secret": "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a",
    "hash_memory": 64,
    "hash_time": 1,
    "hash_lanes": 1,
}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_without_a_secret_or_a_place_for_one_the_app_is_refused_with_both_ways_out() -> None:
    with pytest.raises(ConfigurationError, match=r"auth\.secret_file to a path.*APP_AUTH__SECRET"):
        accounts(AuthSettings())


def test_without_the_data_battery_the_app_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BatteryOrderError, match="needs 'data'"):
        create_app([accounts(AuthSettings(secret_file=tmp_path / "key"))])


def test_making_an_app_writes_nothing(tmp_path: Path) -> None:
    accounts(AuthSettings(secret_file=tmp_path / "var" / "key"))
    assert list(tmp_path.iterdir()) == []


@on_sqlite
async def test_tokens_outlive_a_restart_when_the_key_is_a_file(
    make_app: "MakeApp", site_of: "MakeSite", migrated: None, tmp_path: Path
) -> None:
    options = {"secret": None, "secret_file": tmp_path / "var" / "secret.key"}
    async with client(make_app(**options)) as http:
        tokens = await site_of(http).signed_in()
    async with client(make_app(**options)) as http:
        assert (await site_of(http).get("/mine", tokens)).status_code == 200
    async with client(make_app(secret=None, secret_file=tmp_path / "other.key")) as http:
        assert (await site_of(http).get("/mine", tokens)).status_code == 401


@on_sqlite
async def test_the_routes_move_with_the_prefix_and_those_left_out_are_gone(
    make_app: "MakeApp", site_of: "MakeSite", migrated: None
) -> None:
    async with client(make_app(prefix="/accounts", leave_out={"register"})) as http:
        assert (await http.post("/accounts/login", data={"username": "a", "password": "b"})).status_code == 401
        assert (await http.post("/accounts/register", json={})).status_code == 404
        assert (await http.post("/api/auth/login")).status_code == 404


@on_sqlite
async def test_a_socket_knows_its_caller_and_refuses_others_before_it_opens(
    make_app: "MakeApp", migrated: None
) -> None:
    app = make_app()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, user: CurrentUser) -> None:
        await websocket.accept()
        await websocket.send_json({"email": user.email, "known": identity_of(websocket) is not None})
        await websocket.close()

    await anyio.to_thread.run_sync(visit_socket, app)


def visit_socket(app: FastAPI) -> None:
    ada = {"email": "ada@example.com", "password": "analytical engine"}
    with TestClient(app) as visitor:
        visitor.post("/api/auth/register", json=ada)
        form = {"username": ada["email"], "password": ada["password"]}
        token = visitor.post("/api/auth/login", data=form).json()["access_token"]
        with visitor.websocket_connect("/socket", headers={"Authorization": f"Bearer {token}"}) as opened:
            assert opened.receive_json() == {"email": "ada@example.com", "known": True}
        for headers in ({}, {"Authorization": "Bearer expired"}):
            with (
                pytest.raises(WebSocketDenialResponse) as refused,
                visitor.websocket_connect("/socket", headers=headers),
            ):
                raise AssertionError("it opened")
            assert refused.value.status_code == 401


def schemas(app: FastAPI) -> dict[str, Any]:
    return dict(app.openapi()["components"]["schemas"])


@on_sqlite
def test_no_schema_that_goes_out_has_a_field_for_a_secret(make_app: "MakeApp") -> None:
    described = schemas(make_app())
    assert described["UserRead"]["properties"].keys() == {
        "id", "email", "name", "is_active", "is_superuser", "created_at"
    }  # fmt: skip
    assert not any(word in json.dumps(described["UserRead"]) for word in ("hash", "secret", "password", "token"))


@on_sqlite
def test_the_description_says_how_to_sign_in(make_app: "MakeApp") -> None:
    document = make_app().openapi()
    flows = document["components"]["securitySchemes"]["Account"]["flows"]
    assert flows["password"]["tokenUrl"] == "/api/auth/login"
    assert document["paths"]["/api/auth/me"]["get"]["security"] == [{"Account": []}]
    assert "security" not in document["paths"]["/api/auth/login"]["post"]
    assert document["paths"]["/api/auth/register"]["post"]["responses"].keys() >= {"201", "409", "422"}


async def token_url(http: AsyncClient, root: str = "") -> str:
    """Where the "Authorize" form of the documentation posts to; there must be a login."""
    document = (await http.get(f"{root}/openapi.json")).json()
    (login,) = [path for path in document["paths"] if path.endswith("/login")]
    assert not any(name.startswith("x-") for name in document["paths"][login]["post"])
    told = document["components"]["securitySchemes"]["Account"]["flows"]["password"]["tokenUrl"]
    refused = await http.post(told, data={"username": "ada@example.com", "password": "wrong"})
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
    return str(told)


@pytest.fixture
def documented(database_url: str, tmp_path: Path) -> "MakeApp":
    """An app with documentation pages, its accounts under this prefix."""

    def make(prefix: str) -> FastAPI:
        return create_app(
            [
                http_edge(HttpSettings(docs=True)),
                data(DataSettings(url=database_url, migrations=tmp_path / "migrations")),
                accounts(AuthSettings(**CHEAP, prefix=prefix)),
            ]
        )

    return make


@on_sqlite
async def test_the_documentation_posts_to_the_login_of_its_own_app(documented: "MakeApp", migrated: None) -> None:
    async with client(documented("/accounts")) as one, client(documented("/api/v2/people")) as other:
        assert await token_url(one) == "/accounts/login"
        assert await token_url(other) == "/api/v2/people/login"
        assert await token_url(one) == "/accounts/login"


@on_sqlite
async def test_the_documentation_posts_to_where_a_proxy_or_an_outer_app_has_the_login(
    documented: "MakeApp", migrated: None
) -> None:
    app = documented("/accounts")
    outer = FastAPI()
    outer.mount("/mounted", app)
    behind, inside = ASGITransport(app, root_path="/behind"), ASGITransport(outer)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=behind, base_url="http://localhost") as proxied,
        AsyncClient(transport=inside, base_url="http://localhost") as mounted,
    ):
        assert await token_url(proxied, "/behind") == "/behind/accounts/login"
        assert await token_url(mounted, "/mounted") == "/mounted/accounts/login"
        assert await token_url(proxied, "/behind") == "/behind/accounts/login"


async def ids(settings: AuthSettings, stage: Stage) -> list[str]:
    return [found.id for found in await run_checks(accounts(settings).checks, Resources({}), stage)]


async def test_a_deployment_is_warned_of_a_key_on_one_host_an_open_file_and_cheap_hashes(tmp_path: Path) -> None:
    key = tmp_path / "secret.key"
    key.write_text("x")
    key.chmod(0o644)
    cheap = AuthSettings(secret_file=key, hash_memory=1024, hash_time=1)
    assert await ids(cheap, Stage.DEPLOY) == ["auth.W001", "auth.W002", "auth.E001"]
    assert await ids(cheap, Stage.START) == ["auth.W001"]
    key.chmod(0o600)
    assert await ids(cheap, Stage.START) == []
    assert await ids(AuthSettings(secret="Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"), Stage.DEPLOY) == []


@on_sqlite
async def test_with_the_http_battery_refusals_are_problems_in_two_languages_that_never_repeat_a_password(
    database_url: str, migrated: None, tmp_path: Path
) -> None:
    app = create_app(
        [
            http_edge(HttpSettings()),
            data(DataSettings(url=database_url, migrations=tmp_path / "migrations")),
            accounts(AuthSettings(secret_file=tmp_path / "secret.key")),
        ]
    )
    async with client(app) as http:
        short = await http.post("/api/auth/register", json={"email": "ada", "password": "hunter2"})
        partial = await http.post("/api/auth/register", json={"password": "hunter2hunter2"})
        wrong = await http.post("/api/auth/login", data={"username": "ada@example.com", "password": "hunter2"})
        chinese = await http.get("/api/auth/me", headers={"Accept-Language": "zh"})
    assert [answer.status_code for answer in (short, partial, wrong, chinese)] == [422, 422, 401, 401]
    for answer in (short, partial, wrong, chinese):
        assert answer.headers["content-type"] == "application/problem+json"
        assert "hunter2" not in answer.text
    assert {error["field"] for error in short.json()["errors"]} == {"body.email", "body.password"}
    assert (wrong.json()["code"], wrong.headers["www-authenticate"]) == ("invalid_credentials", "Bearer")
    assert "请先登录" in chinese.json()["detail"]


def test_every_code_has_a_sentence_in_chinese() -> None:
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LeydenError)}
    ours = codes - {LeydenError.code, ConflictError.code}
    assert tomllib.loads((Path(errors.__file__).parent / "locales" / "zh.toml").read_text("utf-8")).keys() == ours
