"""A whole life of an account over HTTP, on each database."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from leyden.auth import User
from leyden.core import Clock
from leyden.data import Database
from leyden.testing import FrozenClock, client

if TYPE_CHECKING:
    from tests.integration.auth.conftest import MakeApp, MakeSite, Site


async def test_register_sign_in_read_change_refresh_and_sign_out(site: "Site") -> None:
    registered = await site.register(name=" Ada ")
    assert registered.status_code == 201
    assert registered.json().keys() == {"id", "email", "name", "is_active", "is_superuser", "created_at"}
    assert (registered.json()["email"], registered.json()["name"]) == ("Ada@example.com", "Ada")
    assert registered.json()["is_superuser"] is False
    assert registered.json()["created_at"].endswith("Z")

    tokens = (await site.login(email="ADA@EXAMPLE.COM")).json()
    assert tokens.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 600)

    me = await site.get("/api/auth/me", tokens)
    assert me.json() == registered.json()
    changed = await site.change(tokens, name="Countess")
    assert changed.json() == {**registered.json(), "name": "Countess"}
    assert (await site.get("/api/auth/me", tokens)).json()["name"] == "Countess"

    renewed = (await site.refresh(tokens)).json()
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert (await site.get("/api/auth/me", renewed)).status_code == 200

    left = await site.logout(renewed)
    assert (left.status_code, left.content) == (204, b"")
    for pair in (tokens, renewed):
        assert (await site.get("/api/auth/me", pair)).status_code == 401
    assert (await site.refresh(renewed)).status_code == 401


async def test_signing_out_on_one_device_leaves_the_others_signed_in(site: "Site") -> None:
    phone = await site.signed_in()
    laptop = (await site.login()).json()
    assert (await site.logout(phone)).status_code == 204
    assert (await site.get("/mine", phone)).status_code == 401
    assert (await site.get("/mine", laptop)).status_code == 200


async def test_an_account_made_inactive_is_refused_at_its_next_request_refresh_and_login(
    site: "Site", database: Database
) -> None:
    tokens = await site.signed_in()
    async with database.session() as session:
        await session.execute(update(User).values(is_active=False))
    assert (await site.get("/mine", tokens)).status_code == 401
    assert (await site.refresh(tokens)).status_code == 401
    assert (await site.login()).status_code == 401


async def test_an_access_token_is_good_for_exactly_its_time_and_a_refresh_token_too(
    site: "Site", clock: FrozenClock
) -> None:
    tokens = await site.signed_in()
    clock.advance(timedelta(minutes=10) - timedelta(microseconds=1))
    assert (await site.get("/mine", tokens)).status_code == 200
    clock.advance(timedelta(microseconds=1))
    assert (await site.get("/mine", tokens)).status_code == 401
    clock.advance(timedelta(days=30) - timedelta(minutes=10) - timedelta(microseconds=1))
    renewed = await site.refresh(tokens)
    assert renewed.status_code == 200
    clock.advance(timedelta(days=30))
    late = await site.refresh(renewed.json())
    assert late.status_code == 401


async def test_an_access_token_ends_with_a_session_that_was_too_short_for_it(
    make_app: "MakeApp", site_of: "MakeSite", migrated: None, clock: FrozenClock
) -> None:
    app = make_app(access_ttl=timedelta(seconds=60), refresh_ttl=timedelta(seconds=60))
    async with client(app, overrides={Clock: clock}) as http:
        site = site_of(http)
        tokens = await site.signed_in()
        clock.advance(60)
        assert (await site.get("/mine", tokens)).status_code == 401


async def test_what_is_stored_is_neither_a_password_nor_a_token(site: "Site", database: Database) -> None:
    tokens = await site.signed_in()
    async with database.readers.connect() as connection:
        dump = ""
        for table in User.metadata.sorted_tables:
            if table.name in ("users", "auth_sessions", "auth_refresh_tokens"):
                dump += repr((await connection.execute(select(table))).all())
    assert "$argon2id$" in dump
    for secret in (site.ada["password"], tokens["access_token"], tokens["refresh_token"]):
        assert secret not in dump


@pytest.mark.parametrize(
    "extra",
    [{"is_superuser": True}, {"id": "x"}, {"is_active": True}, {"email_key": ""}, {"password_hash": "x"}, {"role": 1}],
)
async def test_fields_that_are_not_the_users_to_set_are_refused(site: "Site", extra: dict[str, Any]) -> None:
    tokens = await site.signed_in()
    bob = {"email": "bob@example.com", "password": "analytical engine"}
    assert (await site.register(**bob, **extra)).status_code == 422
    assert (await site.change(tokens, **{"name": "Ada", **extra})).status_code == 422
    me = (await site.get("/api/auth/me", tokens)).json()
    assert (me["is_superuser"], me["name"]) == (False, "")


async def test_a_change_that_says_nothing_changes_nothing_and_null_is_no_name(site: "Site") -> None:
    tokens = await site.signed_in()
    before = (await site.get("/api/auth/me", tokens)).json()
    same = await site.change(tokens)
    assert (same.status_code, same.json()) == (200, before)
    assert (await site.change(tokens, name=None)).status_code == 422


@pytest.mark.parametrize(
    "broken",
    [
        {"email": "nobody"},
        {"email": "a\x00da@example.com"},
        {"password": "x" * 7},
        {"password": "x" * 1025},
        {"password": "password"},
        {"password": "ada@EXAMPLE.com"},
        {"name": "a\x00b"},
        {"name": "x" * 201},
    ],
)
async def test_input_that_no_account_may_have_is_refused(site: "Site", broken: dict[str, str]) -> None:
    assert (await site.register(**broken)).status_code == 422


async def test_nobody_is_asked_to_sign_in_and_told_how(site: "Site") -> None:
    for headers in ({}, {"Authorization": "Basic YWRhOmFkYQ=="}, {"Authorization": ""}):
        answer = await site.http.get("/mine", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_an_open_endpoint_knows_the_caller_and_everybody_can_ask_who_it_is(site: "Site") -> None:
    tokens = await site.signed_in()
    me = (await site.get("/api/auth/me", tokens)).json()
    assert (await site.get("/who", tokens)).json() == {"email": me["email"], "subject": me["id"]}
    assert (await site.http.get("/who")).json() == {"email": None, "subject": None}
    assert (await site.http.get("/who", headers={"Authorization": "Bearer expired"})).status_code == 401


async def test_no_answer_of_accounts_may_be_cached(site: "Site") -> None:
    tokens = await site.signed_in()
    answers = [
        await site.login(),
        await site.login(password="wrong"),
        await site.get("/api/auth/me", tokens),
        await site.http.get("/mine"),
    ]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
