"""Promise 34: of many who want the same at once one gets it, and the others are told what is taken."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from leyden.testing import LiveServer

Serve = Callable[..., LiveServer]
MANY = 50
CHEAP_HASHES = {"auth__hash_memory": 1024, "auth__hash_time": 1, "auth__hash_lanes": 1}  # so that inserts really meet
# One address: plain, in capitals, with a combining accent in both, and in full-width letters.
VARIANTS = (
    "josé@example.com",
    "JOSÉ@EXAMPLE.COM",
    "jose\u0301@example.com",
    "JOSE\u0301@example.com",
    "ｊｏｓé@example.com",
)


async def test_one_address_in_many_spellings_is_registered_once_and_one_handle_is_taken_once(
    serve: Serve, sign_in: Callable[..., Any], database_url: str
) -> None:
    server = serve(database_url, workers=2, **CHEAP_HASHES)
    async with server.client(timeout=60) as client:
        register = [
            client.post("/api/auth/register", json={"email": VARIANTS[n % len(VARIANTS)], "password": "correct horse"})
            for n in range(MANY)
        ]
        registered = await asyncio.gather(*register)
        assert Counter(answer.status_code for answer in registered) == {201: 1, 409: MANY - 1}
        assert_every_refusal_names("email", registered)

        await sign_in(client, "ada@example.com")
        handles = ("Steam-1", "steam-1", "STEAM-1")
        create = [
            client.post("/api/channels", json={"handle": handles[n % len(handles)], "title": f"Number {n}"})
            for n in range(MANY)
        ]
        created = await asyncio.gather(*create)
        assert Counter(answer.status_code for answer in created) == {201: 1, 409: MANY - 1}
        assert_every_refusal_names("handle", created)
        assert (await client.get("/api/channels")).json()["total"] == 1


def assert_every_refusal_names(field: str, answers: list[Any]) -> None:
    for answer in answers:
        if answer.status_code == 409:
            assert answer.headers["content-type"] == "application/problem+json"
            assert [error["field"].rpartition(".")[2] for error in answer.json()["errors"]] == [field]
