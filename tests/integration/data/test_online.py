"""Migrations beside a release that is running: what they say first, what they wait for, and what can be done online."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, String, Table, inspect, text

from leyden.data import Database
from leyden.data import migrations as migrations_module
from leyden.data.base import NAMES
from leyden.data.errors import BlockedMigrationError, MigrationError
from leyden.data.migrations import Migrations


def tables(*more: Any) -> MetaData:
    metadata = MetaData(naming_convention=NAMES)
    Table("owners", metadata, Column("id", Integer, primary_key=True))
    Table("notes", metadata, Column("id", Integer, primary_key=True), Column("title", String(50)), *more)
    return metadata


def revision(folder: Path, name: str, down: str | None, upgrade: str) -> None:
    folder.mkdir(exist_ok=True)
    head = f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = {name!r}, {down!r}\n"
    body = "def upgrade():\n" + "".join(f"    {line}\n" for line in dedent(upgrade).strip().splitlines())
    (folder / f"{name}.py").write_text(f"{head}{body}def downgrade(): ...\n")


async def run(database: Database, statement: str) -> None:
    async with database.writer.begin() as connection:
        await connection.execute(text(statement))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations_module, "PAUSE", (0.01, 0.02))
    monkeypatch.setattr(migrations_module, "ATTEMPTS", 3)


async def test_constraints_and_defaults_are_part_of_what_models_and_migrations_must_agree_on(
    database: Database,
) -> None:
    await Migrations(database, metadata=[tables()]).make()
    await Migrations(database, metadata=[tables()]).upgrade()

    more = (
        Column("stars", Integer, server_default="3"),
        Column("sold", Integer),
        CheckConstraint("sold >= 0", name="sold_positive"),
    )
    migrations = Migrations(database, metadata=[tables(*more)])
    assert await migrations.differences() == [
        "notes.stars is not in the database.",
        "notes.sold is not in the database.",
        "notes: the constraint ck_notes_sold_positive is in the model and not in the database.",
    ]
    await migrations.make()
    await migrations.upgrade()
    assert await migrations.problems() == []

    other = Migrations(database, metadata=[tables(Column("stars", Integer), Column("sold", Integer))])
    assert await other.differences() == [
        "notes.stars has a default in the database; the model says otherwise.",
        "notes: the constraint ck_notes_sold_positive is in the database and not in the model.",
    ]
    await other.make()
    await other.upgrade()
    assert await other.problems() == []


async def test_indexes_and_constraints_are_written_so_that_everybody_can_go_on_writing(database: Database) -> None:
    await Migrations(database, metadata=[tables()]).make()
    await Migrations(database, metadata=[tables()]).upgrade()
    more: tuple[Any, ...] = (
        Column("owner_id", ForeignKey("owners.id")),
        Index(None, "title"),
        CheckConstraint("title <> ''", name="titled"),
    )
    migrations = Migrations(database, metadata=[tables(*more)])

    change, online = await migrations.make("Notes have owners", online=True)

    assert change.name.endswith("notes_have_owners.py")
    assert online.name.endswith("notes_have_owners_online.py")
    assert "create_index" not in change.read_text()
    told = [str(advice) for advice in await migrations.advice()]
    assert told == [] if database.dialect == "postgresql" else len(told) == 2, told
    await migrations.upgrade()
    assert await migrations.problems() == []
    assert await _not_valid(database) == 0
    await migrations.downgrade("-2")
    assert len(await migrations.differences()) == 4
    await migrations.upgrade()
    assert await migrations.problems() == []


async def _not_valid(database: Database) -> int:
    if database.dialect != "postgresql":
        return 0
    async with database.reader() as session:
        return int(await session.scalar(text("SELECT count(*) FROM pg_constraint WHERE NOT convalidated")) or 0)


async def test_where_only_an_index_is_missing_one_revision_is_written(database: Database) -> None:
    await Migrations(database, metadata=[tables()]).make()
    await Migrations(database, metadata=[tables()]).upgrade()
    migrations = Migrations(database, metadata=[tables(Index(None, "title", unique=True))])
    await run(database, "INSERT INTO notes (id, title) VALUES (1, 'same'), (2, 'same')")
    (path,) = await migrations.make(online=True)
    assert path.name.endswith("change_notes_online.py")

    with pytest.raises(MigrationError) as failed:
        await migrations.upgrade()
    if database.dialect == "postgresql":
        assert "What it did outside of a transaction stays" in str(failed.value)
    await run(database, "DELETE FROM notes WHERE id = 2")

    assert len(await migrations.upgrade()) == 1, "what the first attempt has left behind is not in the way"
    assert await migrations.problems() == []


RISKY = """
    op.add_column("notes", sa.Column("body", sa.Text(), nullable=False))
    with op.batch_alter_table("notes") as batch_op:
        batch_op.drop_column("title")
    texts = op.create_table("texts", sa.Column("id", sa.Integer))
    op.bulk_insert(texts, [{"id": 1}])
    op.create_index("ix_texts_id", "texts", ["id"])
"""


async def test_a_revision_tells_what_it_does_without_being_run(database: Database) -> None:
    folder = database.settings.migrations
    revision(folder, "one", None, 'op.create_table("notes", sa.Column("id", sa.Integer), sa.Column("title", sa.Text))')
    migrations = Migrations(database, metadata=[])
    assert await migrations.advice() == []
    await migrations.upgrade()
    revision(folder, "two", "one", RISKY)
    revision(folder, "three", "two", 'op.create_index("ix", "texts", ["id"])')
    revision(folder, "four", "three", 'op.drop_table("notes")\nprint(op.get_bind().scalar(sa.text("SELECT 1")))')

    body, title, table, unseen = map(str, await migrations.advice())

    assert body.startswith("two: Adding notes.body, which may not be null")
    assert title.startswith("two: Dropping notes.title")
    assert table.startswith("four: Dropping the table notes")
    assert unseen.startswith("four: It asks the database while it runs")
    assert list(map(str, await migrations.advice("three"))) == [table, unseen]
    async with database.writer.connect() as connection:
        assert not await connection.run_sync(lambda bound: inspect(bound).has_table("texts"))
    with pytest.raises(MigrationError, match="There is no revision 'five'"):
        await migrations.advice("five")


@asynccontextmanager
async def in_use(database: Database, seconds: float) -> AsyncIterator[None]:
    """Somebody reads the table in a transaction that stays open for so long."""

    async def read() -> None:
        async with database.session() as session:
            await session.execute(text("SELECT * FROM notes"))
            begun.set()
            await asyncio.sleep(seconds)

    begun = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(read())
        await begun.wait()
        try:
            yield
        finally:
            task.cancel()


@pytest.mark.usefixtures("impatient")
async def test_a_migration_that_cannot_get_its_lock_gives_up_soon_and_goes_through_later(database: Database) -> None:
    if database.dialect == "sqlite":
        return  # whose writers wait in a line of their own, and whose readers never wait
    folder = database.settings.migrations
    revision(folder, "one", None, 'op.create_table("notes", sa.Column("id", sa.Integer))')
    await Migrations(database).upgrade()
    revision(folder, "two", "one", 'op.create_table("texts", sa.Column("id", sa.Integer))')
    revision(folder, "three", "two", 'op.add_column("notes", sa.Column("title", sa.Text()))')
    migrations = Migrations(database)

    async with in_use(database, 60):
        before = time.monotonic()
        with pytest.raises(BlockedMigrationError, match=r"three .*failed.* 3 attempts over \d s found no moment"):
            await migrations.upgrade()
        assert time.monotonic() - before < 6
    assert await migrations.current() == (("two",) if database.dialect == "mysql" else ("one",))

    async with in_use(database, 0.7):
        names = [found.id for found in await migrations.upgrade()]
    assert names == (["three"] if database.dialect == "mysql" else ["two", "three"])


@pytest.mark.usefixtures("impatient")
async def test_where_a_half_stays_it_is_not_tried_again(database: Database) -> None:
    if database.dialect != "mysql":
        return  # the others take back all of it
    folder = database.settings.migrations
    revision(folder, "one", None, 'op.create_table("notes", sa.Column("id", sa.Integer))')
    await Migrations(database).upgrade()
    half = (
        'op.create_table("texts", sa.Column("id", sa.Integer))\nop.add_column("notes", sa.Column("title", sa.Text()))'
    )
    revision(folder, "two", "one", half)
    async with in_use(database, 60):
        with pytest.raises(MigrationError, match="cannot take back") as failed:
            await Migrations(database).upgrade()
    assert not isinstance(failed.value, BlockedMigrationError)
