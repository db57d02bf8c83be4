"""One address, one account, however it is written and however many ask at once (promise 34)."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from leyden.auth import User
from leyden.data import Database

if TYPE_CHECKING:
    from tests.integration.auth.conftest import Site

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
