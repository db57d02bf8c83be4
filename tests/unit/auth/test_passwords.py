"""Passwords: hashed off the loop, compared whole, refused when weak."""

import asyncio
import time
from statistics import median

import pytest

from leyden.auth import AuthSettings
from leyden.auth.errors import WeakPasswordError
from leyden.auth.passwords import Passwords, refuse_weak
from leyden.core import OverloadedError

CHEAP = AuthSettings(hash_memory=64, hash_time=1, hash_lanes=1, hash_concurrency=2)
BCRYPT = "$2b$12$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
CUT = "$argon2id$v=19$m=64,t=1,p=1"
DEARER = AuthSettings(hash_memory=128, hash_time=1, hash_lanes=1)


@pytest.mark.parametrize("password", ["x" * 8, "x" * 1024, "пароль-🔑-密码", " leading and trailing ", "nul\x00inside"])
async def test_lengths_from_8_to_1024_and_any_characters_are_accepted_exactly(password: str) -> None:
    refuse_weak(password, email="ada@example.com")
    passwords = Passwords(CHEAP)
    stored = await passwords.hash(password)
    assert stored.startswith("$argon2id$")
    assert (await passwords.verify(password, stored)).right
    assert not (await passwords.verify(password[:-1], stored)).right


async def test_passwords_equal_in_their_first_72_bytes_do_not_match() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("a" * 72 + "one")
    assert not (await passwords.verify("a" * 72 + "two", stored)).right
    assert not (await passwords.verify("a" * 72, stored)).right


@pytest.mark.parametrize(
    "weak", ["", "x" * 7, "x" * 1025, "password", "PASSWORD1", "12345678", "lovelace@example.com", "LoveLace"]
)
def test_what_anybody_would_try_first_is_refused(weak: str) -> None:
    with pytest.raises(WeakPasswordError) as caught:
        refuse_weak(weak, email="lovelace@example.com")
    assert caught.value.status == 422
    assert caught.value.fields[0].field == "body.password"


async def test_a_right_password_renews_a_hash_with_other_parameters_and_a_wrong_one_does_not() -> None:
    stored = await Passwords(CHEAP).hash("correct horse")
    now = Passwords(DEARER)
    assert (await now.verify("wrong horse", stored)).renewed is None
    verdict = await now.verify("correct horse", stored)
    assert verdict.right
    assert verdict.renewed is not None
    assert "m=128" in verdict.renewed
    assert (await now.verify("correct horse", verdict.renewed)).renewed is None


@pytest.mark.parametrize("stored", ["!", "", "*", "correct horse", BCRYPT, CUT, CUT + "$\u00fc$x"])
async def test_a_stored_text_that_is_no_hash_of_ours_matches_nothing(stored: str) -> None:
    for password in ("correct horse", "!", ""):
        assert not (await Passwords(CHEAP).verify(password, stored)).right


async def test_a_refusal_takes_as_long_for_nobody_and_for_hashes_that_cost_less_or_more_today() -> None:
    now = Passwords(AuthSettings(hash_memory=4096, hash_time=2, hash_lanes=1))
    before = Passwords(AuthSettings(hash_memory=2048, hash_time=1, hash_lanes=1))
    dearer = Passwords(AuthSettings(hash_memory=4096, hash_time=5, hash_lanes=1))
    stored: dict[str, str | None] = {"nobody": None, "disabled": "!"}
    for who, passwords in (("somebody", now), ("before", before), ("dearer", dearer)):
        stored[who] = await passwords.hash("correct horse")
    times: dict[str, list[float]] = {who: [] for who in stored}
    for who, hashed in [*stored.items()] * 20:
        started = time.perf_counter()
        assert not (await now.verify("wrong horse", hashed)).right
        times[who].append(time.perf_counter() - started)
    middle = {who: median(took[1:]) for who, took in times.items()}  # the first ones have met only some of the hashes
    assert middle == dict.fromkeys(middle, pytest.approx(middle["somebody"], rel=0.5))


async def test_a_password_too_long_for_any_account_is_refused_without_hashing() -> None:
    passwords = Passwords(AuthSettings(hash_concurrency=1, hash_waiting=0))
    started = time.perf_counter()
    for _ in range(200):
        assert not (await passwords.verify("x" * 1025, None)).right
    assert time.perf_counter() - started < 2  # hashing them would take ten times as long


async def test_more_logins_than_may_wait_are_refused_as_overload() -> None:
    # At full cost: no hash may be done before the last call has come.
    passwords = Passwords(AuthSettings(hash_concurrency=1, hash_waiting=3))
    results = await asyncio.gather(*(passwords.verify("x" * 9, None) for _ in range(20)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, OverloadedError)]
    assert len(refused) == 16
    assert refused[0].status == 503
    assert "Retry-After" in refused[0].headers
