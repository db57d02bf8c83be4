"""Signing in tells nobody who has an account (promise 20) and never stalls or bloats the process (promise 24)."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from leyden.auth import AuthSettings, User
from leyden.auth.events import SignedIn, SignInFailed
from leyden.auth.passwords import Passwords, Verdict
from leyden.core import Events, installed
from leyden.data import Database
from leyden.testing import client

if TYPE_CHECKING:
    from tests.integration.auth.conftest import MakeApp, MakeSite, Site

MIB = 1024
MannWhitney = Callable[[list[float], list[float]], float]


async def deactivate(database: Database, email: str) -> None:
    async with database.session() as session:
        await session.execute(update(User).where(User.email == email).values(is_active=False))


async def test_unknown_wrong_inactive_and_impossible_logins_get_one_answer(site: "Site", database: Database) -> None:
    await site.register()
    await site.register(email="idle@example.com")
    await deactivate(database, "idle@example.com")
    answers = [
        await site.login(password="wrong password"),
        await site.login(password="x" * 1025),
        await site.login(password="x" * 100_000),
        await site.login(email="idle@example.com"),
        await site.login(email="nobody@example.com"),
        await site.login(email="not an address"),
        await site.login(email="a\x00da@example.com"),
        await site.login(email="a" * 100_000),
        await site.login(email="Ada <ada@example.com>"),
        await site.login(email="' OR 1=1 --"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"] == "Bearer"


def test_the_measure_of_these_tests_sees_a_difference_and_none_where_there_is_none(mann_whitney: MannWhitney) -> None:
    even, odd = [float(number) for number in range(0, 200, 2)], [float(number) for number in range(1, 200, 2)]
    assert mann_whitney(even, odd) > 0.5
    assert mann_whitney(even, [value + 60 for value in odd]) < 0.001


async def time_logins(site: "Site", emails: list[str], turns: int) -> dict[str, list[float]]:
    """Seconds of failing logins, the accounts in another order at each turn."""
    times: dict[str, list[float]] = {email: [] for email in emails}
    for turn in range(turns):
        for email in sorted(emails, key=lambda email: hash((turn, email))):
            started = time.perf_counter()
            assert (await site.login(email=email, password="wrong password")).status_code == 401
            times[email].append(time.perf_counter() - started)
    return times


async def age(database: Database, email: str) -> None:
    """Give this account a hash that was made when hashes were cheaper."""
    hashed = await Passwords(AuthSettings(hash_memory=8 * MIB, hash_time=1, hash_lanes=1)).hash("analytical engine")
    async with database.session() as session:
        await session.execute(update(User).where(User.email == email).values(password_hash=hashed))


async def test_logins_of_known_unknown_inactive_and_long_gone_users_take_the_same_time(
    make_app: "MakeApp", site_of: "MakeSite", migrated: None, database: Database, mann_whitney: MannWhitney
) -> None:
    def alike(known: list[float], other: list[float]) -> bool:
        return mann_whitney(known, other) > 0.01 or abs(median(known) - median(other)) < 0.002

    emails = ["ada@example.com", "bob@example.com", "idle@example.com", "old@example.com"]
    async with client(make_app(hash_memory=8 * MIB, hash_time=2, hash_concurrency=1)) as http:
        site = site_of(http)
        await site.register()
        await site.register(email="idle@example.com")
        await deactivate(database, "idle@example.com")
        await site.register(email="old@example.com")
        await age(database, "old@example.com")
        await time_logins(site, emails, 3)  # caches are warm
        rounds = []
        for _ in range(3):  # one round in a hundred differs by chance; a real difference shows in each
            known, *others = (await time_logins(site, emails, 50)).values()
            if all(alike(known, other) for other in others):
                return
            rounds.append([median(known), *map(median, others)])
    pytest.fail(f"medians of known, unknown, inactive and long gone in three rounds: {rounds}")


async def test_from_its_first_login_on_a_process_refuses_a_stranger_as_late_as_somebody_with_an_older_hash(
    make_app: "MakeApp", site_of: "MakeSite", migrated: None
) -> None:
    async with client(make_app(hash_memory=16 * MIB, hash_time=3)) as http:
        await site_of(http).register()
    today = Passwords(AuthSettings(hash_memory=16 * MIB, hash_time=1, hash_lanes=1))
    alone = min([await work_of(today.verify("wrong password", None)) for _ in range(5)])
    async with client(make_app(hash_memory=16 * MIB, hash_time=1)) as http:
        await site_of(http).register(email="warm@example.com")
        took = await work_of(site_of(http).login(email="nobody@example.com"))
    assert took > 3 * alone  # one pass of today, and the three of the older one


async def work_of(call: Awaitable[object]) -> float:
    """Seconds of the processor, which a busy machine does not make more."""
    before = time.process_time()
    await call
    return time.process_time() - before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_without_the_hash_for_nobody_an_unknown_login_would_be_seen_by_its_time(
    make_app: "MakeApp",
    site_of: "MakeSite",
    migrated: None,
    mann_whitney: MannWhitney,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verify = Passwords.verify

    async def hurried(self: Passwords, password: str, stored: str | None) -> Verdict:
        return Verdict(right=False) if stored is None else await verify(self, password, stored)

    monkeypatch.setattr(Passwords, "verify", hurried)
    async with client(make_app(hash_memory=16 * MIB, hash_time=1)) as http:
        site = site_of(http)
        await site.register()
        known, unknown = (await time_logins(site, ["ada@example.com", "bob@example.com"], 50)).values()
    assert mann_whitney(known, unknown) < 0.01
    assert median(known) - median(unknown) > 0.002


async def test_a_login_renews_a_hash_that_was_made_with_other_parameters(
    make_app: "MakeApp", site_of: "MakeSite", migrated: None, database: Database
) -> None:
    async def stored() -> str:
        async with database.reader() as reader:
            return (await reader.execute(select(User.password_hash))).scalar_one()

    async with client(make_app(hash_memory=64)) as http:
        await site_of(http).register()
    assert "m=64," in await stored()
    async with client(make_app(hash_memory=128)) as http:
        assert (await site_of(http).login(password="wrong password")).status_code == 401
        assert "m=64," in await stored()
        assert (await site_of(http).login()).status_code == 200
        renewed = await stored()
        assert "m=128," in renewed
        assert (await site_of(http).login()).status_code == 200
        assert await stored() == renewed


async def test_logins_are_told_to_whoever_listens(make_app: "MakeApp", site_of: "MakeSite", migrated: None) -> None:
    app, heard = make_app(), list[object]()
    async with client(app) as http:
        resources = installed(app).resources
        assert resources is not None
        resources[Events].listen(SignedIn, heard.append)
        resources[Events].listen(SignInFailed, heard.append)
        site = site_of(http)
        user_id = (await site.register()).json()["id"]
        await site.login(password="wrong password")
        await site.login(email="nobody@example.com")
        await site.login()
    wrong, nobody, good = heard
    assert isinstance(wrong, SignInFailed)
    assert nobody == SignInFailed(None)
    assert isinstance(good, SignedIn)
    assert str(wrong.user_id) == str(good.user_id) == user_id


def resident() -> int:
    """KiB of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_200_logins_at_once_hold_memory_for_two_and_leave_the_loop_free(
    make_app: "MakeApp", site_of: "MakeSite", migrated: None
) -> None:
    late, peak = list[float](), 0

    async def watch() -> None:
        nonlocal peak
        while True:
            due = time.perf_counter() + 0.01
            await asyncio.sleep(0.01)
            late.append(time.perf_counter() - due)
            peak = max(peak, resident())

    app = make_app(hash_memory=64 * MIB, hash_time=3, hash_lanes=4, hash_concurrency=2, hash_waiting=20)
    async with client(app) as http:
        site = site_of(http)
        await site.register()
        before, watcher = resident(), asyncio.create_task(watch())
        answers = await asyncio.gather(*(site.login(password="wrong password") for _ in range(200)))
        watcher.cancel()
    outcomes = Counter(answer.status_code for answer in answers)
    assert outcomes.keys() == {401, 503}
    assert 22 <= outcomes[401] <= 60  # places come free while the last ones still arrive
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
    assert peak - before < 2 * 64 * MIB + 48 * MIB
    assert quantiles(late, n=20)[-1] < 0.1
