"""A refresh token works once; a second use ends the session, and nobody ever holds two that work (promise 19)."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from leyden.auth.events import RefreshTokenReused
from leyden.auth.models import AuthRefreshToken, AuthSession
from leyden.core import Events, installed
from leyden.data import Database
from leyden.testing import client

if TYPE_CHECKING:
    from tests.integration.auth.conftest import MakeApp, MakeSite, Site


async def live_tokens(database: Database) -> int:
    async with database.reader() as reader:
        found = await reader.scalar(
            select(func.count())
            .select_from(AuthRefreshToken)
            .join(AuthSession, AuthSession.id == AuthRefreshToken.session_id)
            .where(AuthSession.ended_at.is_(None), AuthRefreshToken.used_at.is_(None))
        )
    return found or 0


async def test_a_chain_of_refreshes_goes_on_and_each_token_is_new(site: "Site", database: Database) -> None:
    tokens = await site.signed_in()
    seen = {tokens["refresh_token"]}
    for _ in range(5):
        answer = await site.refresh(tokens)
        assert answer.status_code == 200
        tokens = answer.json()
        assert tokens["refresh_token"] not in seen
        seen.add(tokens["refresh_token"])
        assert await live_tokens(database) == 1
    assert (await site.get("/mine", tokens)).status_code == 200


async def test_an_old_token_after_two_rotations_ends_the_whole_family(site: "Site", database: Database) -> None:
    first = await site.signed_in()
    second = (await site.refresh(first)).json()
    third = (await site.refresh(second)).json()
    other_device = (await site.login()).json()
    assert (await site.refresh(first)).status_code == 401
    assert (await site.get("/mine", third)).status_code == 401
    assert (await site.refresh(third)).status_code == 401
    assert (await site.refresh(other_device)).status_code == 200
    assert await live_tokens(database) == 1


async def test_of_50_refreshes_at_once_one_succeeds_and_never_two_tokens_live(site: "Site", database: Database) -> None:
    tokens = await site.signed_in()
    answers = await asyncio.gather(*(site.refresh(tokens) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 49}
    assert await live_tokens(database) <= 1


async def test_a_reuse_is_told_to_whoever_listens(make_app: "MakeApp", site_of: "MakeSite", migrated: None) -> None:
    app, heard = make_app(), list[RefreshTokenReused]()
    async with client(app) as http:
        site = site_of(http)
        resources = installed(app).resources
        assert resources is not None
        resources[Events].listen(RefreshTokenReused, heard.append)
        tokens = await site.signed_in()
        await site.refresh(tokens)
        await site.refresh(tokens)
    assert len(heard) == 1


async def test_refreshing_while_signing_out_never_leaves_a_token_that_works(site: "Site", database: Database) -> None:
    for _ in range(5):
        tokens = (await site.login()).json() if _ else await site.signed_in()
        renewed, left = await asyncio.gather(site.refresh(tokens), site.logout(tokens))
        assert left.status_code == 204
        if renewed.status_code == 200:
            assert (await site.get("/mine", renewed.json())).status_code == 401
        assert await live_tokens(database) == 0


async def test_garbage_is_refused_like_an_old_token(site: "Site") -> None:
    tokens = await site.signed_in()
    answers = [
        await site.refresh({"refresh_token": text}) for text in ("x", "\u0000", "é" * 512, tokens["access_token"][:500])
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert (await site.refresh(tokens)).status_code == 200
