"""Many rows at once, and rows that others write at the same time, on each database."""

import asyncio
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Text, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from leyden.core import ConfigurationError
from leyden.data import (
    Base,
    ConflictError,
    Database,
    DatabaseBusyError,
    InvalidValueError,
    Model,
    StaleError,
    Versioned,
    get_or_create,
    insert_many,
    upsert,
    uuid7,
)
from leyden.testing import FrozenClock


class Member(Versioned, Model):
    __tablename__ = "writes_members"

    email: Mapped[str] = mapped_column("e_mail", unique=True, info={"field": "address"})
    handle: Mapped[str | None] = mapped_column(unique=True)
    points: Mapped[int] = mapped_column(default=5)
    share: Mapped[float | None]
    facts: Mapped[dict[str, Any] | None]


class Vote(Base):
    """No id, no times: only what two people can disagree about."""

    __tablename__ = "writes_votes"
    __table_args__ = (UniqueConstraint("member", "video"),)

    number: Mapped[int] = mapped_column(primary_key=True)
    member: Mapped[str]
    video: Mapped[str]


class Note(Model):
    __tablename__ = "writes_notes"

    text: Mapped[str] = mapped_column(Text)


TABLES = [Base.metadata.tables[name] for name in ("writes_members", "writes_votes", "writes_notes")]


@pytest.fixture
async def ready(database: Database) -> Database:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
    return database


async def members(database: Database) -> list[Member]:
    async with database.reader() as session:
        return list(await session.scalars(select(Member).order_by(Member.email)))


class MemberIn(BaseModel):
    email: str
    points: int = 7


async def test_rows_of_every_kind_get_the_models_defaults_and_the_apps_time(
    database: Database, ready: Database
) -> None:
    clock = FrozenClock()
    rows: list[dict[str, Any] | BaseModel] = [
        {"email": "a"},
        {"email": "b", "points": None, "handle": "bee"},
        MemberIn(email="c"),
        {"email": "d", "points": 0, "facts": {"x": [1]}, "share": 0.5},
    ]
    async with Database(database.settings, clock=clock) as timed, timed.session() as session:
        assert await insert_many(session, Member, rows) == 4
        assert await insert_many(session, Member, []) == 0
    found = await members(ready)
    assert [(row.email, row.points, row.handle, row.facts, row.share) for row in found] == [
        ("a", 5, None, None, None),
        ("b", 5, "bee", None, None),
        ("c", 7, None, None, None),
        ("d", 0, None, {"x": [1]}, 0.5),
    ]
    assert len({row.id for row in found}) == 4
    assert {row.id.version for row in found} == {7}
    assert {(row.created_at, row.updated_at, row.version) for row in found} == {(clock.now(), clock.now(), 1)}


async def test_more_rows_than_a_statement_has_parameters_come_from_a_generator_in_flat_memory(ready: Database) -> None:
    def rows(many: int) -> Iterator[dict[str, Any]]:
        return ({"text": f"{number:0200}"} for number in range(many))

    async def peak(many: int) -> int:
        tracemalloc.start()
        async with ready.session() as session:
            assert await insert_many(session, Note, rows(many)) == many
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    await peak(100)
    few, many = await peak(2_000), await peak(16_000)
    assert many < few * 1.5 + 1_000_000
    async with ready.reader() as session:
        assert await session.scalar(select(func.count()).select_from(Note)) == 18_100


async def test_a_taken_value_takes_back_all_rows_and_the_session_goes_on(ready: Database) -> None:
    async with ready.session() as session:
        session.add(Member(email="taken"))
        with pytest.raises(ConflictError) as refused:
            await insert_many(session, Member, ({"email": email} for email in ("a", "b", "taken")))
        await insert_many(session, Member, [{"email": "after"}])
    assert [(field.field, field.code) for field in refused.value.fields] == [("address", "unique")]
    assert [row.email for row in await members(ready)] == ["after", "taken"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_what_is_no_number_is_refused_with_its_field_on_every_database(ready: Database, value: float) -> None:
    async with ready.session() as session:
        with pytest.raises(InvalidValueError) as refused:
            await insert_many(session, Member, [{"email": "a"}, {"email": "b", "share": value}])
        with pytest.raises(InvalidValueError):
            await upsert(session, Member, {"email": "a", "share": value}, key=["email"])
        with pytest.raises(InvalidValueError):
            await get_or_create(session, Member, key={"email": "a"}, defaults={"share": value})
    assert [(field.field, field.code) for field in refused.value.fields] == [("share", "finite_number")]
    assert await members(ready) == []


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb", "psycopg"], indirect=True)
async def test_what_is_too_long_is_refused_and_the_session_goes_on(ready: Database) -> None:
    async with ready.session() as session:
        with pytest.raises(InvalidValueError):
            await insert_many(session, Member, [{"email": "a"}, {"email": "x" * 256}])
        with pytest.raises(InvalidValueError):
            await insert_many(session, Member, [{"email": "a", "points": 2**40}])
        with pytest.raises(InvalidValueError):
            await get_or_create(session, Member, key={"email": "x" * 256})
        await insert_many(session, Member, [{"email": "b"}])
    assert [row.email for row in await members(ready)] == ["b"]


async def test_get_or_create_finds_what_is_there_and_makes_what_is_not(ready: Database) -> None:
    async with ready.session() as session:
        made, created = await get_or_create(session, Member, key={"email": "a"}, defaults={"points": 9})
        again, second = await get_or_create(session, Member, key={"email": "a"}, defaults={"points": 1})
    assert (made.points, made.version, created) == (9, 1, True)
    assert (again, second) == (made, False)


async def test_get_or_create_says_so_when_another_constraint_is_in_the_way(ready: Database) -> None:
    async with ready.session() as session:
        session.add(Member(email="a", handle="h"))
    async with ready.session() as session:
        with pytest.raises(ConflictError) as refused:
            await get_or_create(session, Member, key={"email": "b"}, defaults={"handle": "h"})
        session.add(Member(email="c"))
    assert [field.field for field in refused.value.fields] == ["handle"]
    assert [row.email for row in await members(ready)] == ["a", "c"]


async def test_fifty_who_get_or_create_one_key_share_one_row(ready: Database) -> None:
    async def one() -> tuple[uuid.UUID, bool]:
        async with ready.session() as session:
            found, created = await get_or_create(session, Member, key={"email": "same"})
            found.points = 8 if created else found.points
            return found.id, created

    outcomes = await asyncio.gather(*(one() for _ in range(50)))
    assert len({found for found, _ in outcomes}) == 1
    assert sum(created for _, created in outcomes) == 1
    assert [row.points for row in await members(ready)] == [8]


async def test_fifty_who_upsert_one_key_share_one_row(ready: Database) -> None:
    async def one(number: int) -> tuple[uuid.UUID, int]:
        async with ready.session() as session:
            found = await upsert(session, Member, {"email": "same", "points": number}, key=["email"])
            return found.id, found.points

    outcomes = await asyncio.gather(*(one(number) for number in range(50)))
    (row,) = await members(ready)
    assert {found for found, _ in outcomes} == {row.id}
    assert sorted(points for _, points in outcomes) == list(range(50))
    assert row.version == 50


async def test_upsert_of_a_row_that_is_there_keeps_what_it_is_and_moves_its_time_on(database: Database) -> None:
    clock = FrozenClock()
    async with Database(database.settings, clock=clock) as timed:
        async with timed.writer.begin() as connection:
            await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
        async with timed.session() as session:
            first = await upsert(session, Member, MemberIn(email="a"), key=["email"])
            born, moment = first.id, first.created_at
        clock.advance(timedelta(minutes=1))
        async with timed.session() as session:
            known = await session.get_one(Member, born)
            values = {"id": uuid7(), "email": "a", "handle": "h", "created_at": clock.now()}
            second = await upsert(session, Member, values, key=["email"])
            assert second is known
            assert (second.id, second.created_at, second.updated_at) == (born, moment, clock.now())
            assert (second.points, second.handle, second.version) == (7, "h", 2)
            second.points = 1
        (row,) = await members(timed)
        assert (row.points, row.version) == (1, 3)


@pytest.mark.parametrize("handle", ["theirs"])
@pytest.mark.parametrize("email", ["new", "mine"])
async def test_upsert_changes_no_row_of_another_key(ready: Database, email: str, handle: str) -> None:
    async with ready.session() as session:
        await insert_many(session, Member, [{"email": "mine"}, {"email": "other", "handle": "theirs", "points": 1}])
    with pytest.raises(ConflictError) as refused:
        async with ready.session() as session:
            await upsert(session, Member, {"email": email, "handle": handle, "points": 99}, key=["email"])
    assert [(field.field, field.code) for field in refused.value.fields] == [("handle", "unique")]
    rows = [(row.email, row.handle, row.points, row.version) for row in await members(ready)]
    assert rows == [("mine", None, 5, 1), ("other", "theirs", 1, 1)]


async def test_upsert_of_nothing_but_a_key_returns_the_row(ready: Database) -> None:
    async with ready.session() as session:
        one = await upsert(session, Vote, {"member": "a", "video": "b"}, key=("video", "member"))
        two = await upsert(session, Vote, {"member": "a", "video": "b"}, key=("member", "video"))
        three = await upsert(session, Vote, {"member": "a", "video": "c"}, key=("member", "video"))
    assert one is two
    assert one.number != three.number


async def test_what_nothing_makes_unique_is_no_key(ready: Database) -> None:
    async with ready.session() as session:
        with pytest.raises(ConfigurationError, match="two rows of Note from having the same text"):
            await get_or_create(session, Note, key={"text": "a"})
        with pytest.raises(ConfigurationError, match="two rows of Vote from having the same member"):
            await upsert(session, Vote, {"member": "a", "video": "b"}, key=["member"])
        with pytest.raises(ConfigurationError, match="handle has no value: NULL is never unique"):
            await get_or_create(session, Member, key={"handle": None})
        with pytest.raises(ConfigurationError, match="email has no value"):
            await upsert(session, Member, {"handle": "a"}, key=["email"])


async def test_a_name_without_a_column_is_a_clear_error(ready: Database) -> None:
    async with ready.session() as session:
        for call in (
            insert_many(session, Member, [{"email": "a"}, {"email": "b", "e_mail": "c"}]),
            get_or_create(session, Member, key={"e_mail": "a"}),
            upsert(session, Member, {"email": "a", "e_mail": "b"}, key=["email"]),
        ):
            with pytest.raises(ConfigurationError, match="Member has no column e_mail"):
                await call
    assert await members(ready) == []


async def test_a_change_made_to_an_old_version_is_refused(ready: Database) -> None:
    async with ready.session() as session:
        session.add(made := Member(email="a"))

    async def change_late() -> None:
        async with ready.session() as session:
            found = await session.get_one(Member, made.id)
            await session.execute(text("UPDATE writes_members SET version = version + 1"))  # as another process would
            found.points = 1

    with pytest.raises(StaleError):
        await change_late()
    assert [row.points for row in await members(ready)] == [5]


async def test_when_whoever_was_first_takes_it_back_one_of_those_who_waited_makes_it(ready: Database) -> None:
    """MariaDB may end some of those who waited with a deadlock: busy, and worth a retry of the unit of work."""
    inside = asyncio.Event()

    async def first() -> None:
        async with ready.session() as session:
            await get_or_create(session, Member, key={"email": "same"})
            inside.set()
            await asyncio.sleep(0.2)
            raise LookupError

    async def other() -> uuid.UUID | None:
        await inside.wait()
        try:
            async with ready.session() as session:
                return (await get_or_create(session, Member, key={"email": "same"}))[0].id
        except DatabaseBusyError:
            assert ready.dialect == "mysql"
            return None

    gone, *found = await asyncio.gather(first(), *(other() for _ in range(5)), return_exceptions=True)
    assert isinstance(gone, LookupError)
    (row,) = await members(ready)
    assert row.id in found
    assert set(found) <= {row.id, None}
