"""One address, one account, however it is written and however many ask at once (promise 34)."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from leyden.auth import Accounts, User
from leyden.auth.models import AuthSession
from leyden.core import installed
from leyden.data import ConflictError, Database, uuid7
from leyden.testing import FrozenClock, client

if TYPE_CHECKING:
    from tests.integration.auth.conftest import MakeApp, Site

VARIANTS = (
    "ada@example.com",
    "ADA@example.com",
    "Ada@EXAMPLE.com",
    "\uff41\uff44\uff41@example.com",
    " aDa@example.com ",
)


async def test_of_50_registrations_at_once_in_variants_of_one_address_exactly_one_succeeds(
    site: "Site", database: Database
) -> None:
    requests = (site.register(email=VARIANTS[number % len(VARIANTS)]) for number in range(50))
    answers = await asyncio.gather(*requests)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    assert len({answer.text for answer in answers if answer.status_code == 409}) == 1
    async with database.reader() as reader:
        assert await reader.scalar(select(func.count()).select_from(User)) == 1


async def test_addresses_that_differ_by_an_accent_or_a_trailing_dot_are_two_people(site: "Site") -> None:
    for email in ("jose@example.com", "jos\u00e9@example.com", "jos.e@example.com"):
        assert (await site.register(email=email)).status_code == 201


async def test_what_else_is_wrong_in_the_callers_unit_of_work_is_not_called_a_taken_address(
    make_app: "MakeApp", migrated: None
) -> None:
    app = make_app()
    ada: dict[str, Any] = {"email": "ada@example.com", "password": "analytical engine"}
    async with client(app):
        resources = installed(app).resources
        assert resources is not None
        database, accounts = resources[Database], resources[Accounts]

        async def with_a_session_of_nobody() -> None:
            async with database.session() as session:
                session.add(AuthSession(user_id=uuid7(), expires_at=FrozenClock().now()))
                await accounts.register(session, **ada)

        async def without_a_name() -> None:
            async with database.session() as session:
                await accounts.register(session, **ada, name=None)  # type: ignore[arg-type]  # the bug

        for register, field in ((with_a_session_of_nobody, "user_id"), (without_a_name, "name")):
            with pytest.raises(ConflictError) as refused:
                await register()
            assert (refused.value.code, [found.field for found in refused.value.fields]) == ("conflict", [field])
