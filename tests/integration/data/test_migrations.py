"""Migrations on each database: made, applied once, taken back, and in agreement with the models."""

import asyncio
import enum
import sys
import uuid
from asyncio.subprocess import PIPE
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Numeric, String, Text, inspect, text
from sqlalchemy.orm import Mapped, mapped_column

from leyden.core import Battery
from leyden.data import Base, Database, DataSettings
from leyden.data.base import NAMES
from leyden.data.errors import MigrationError
from leyden.data.migrations import Migrations


class Shop(Base):
    """Models with a metadata of their own: what other tests define stays out."""

    __abstract__ = True
    metadata = MetaData(naming_convention=NAMES)


class Kind(enum.Enum):
    BOOK = "book"
    FILM = "film"


class Owner(Shop):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Article(Shop):
    """Every kind of column."""

    __tablename__ = "articles"
    __table_args__ = (CheckConstraint("price >= 0", name="price_positive"), Index(None, "title", "born"))
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id", ondelete="CASCADE"), index=True)
    title: Mapped[str]
    body: Mapped[str | None] = mapped_column(Text)
    code: Mapped[str] = mapped_column(String(10), unique=True)
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    weight: Mapped[float | None]
    sold: Mapped[bool] = mapped_column(default=False)
    born: Mapped[date]
    at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]
    tags: Mapped[list[str]]
    kind: Mapped[Kind]


class Library(Base):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMES)


class Book(Library):
    __tablename__ = "shelf_books"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


MakeLibrary = Callable[..., Battery]


async def tables_of(database: Database) -> set[str]:
    async with database.writer.connect() as connection:
        return set(await connection.run_sync(lambda c: inspect(c).get_table_names()))


async def run(database: Database, *statements: str) -> list[Any]:
    rows: list[Any] = []
    async with database.writer.begin() as connection:
        for statement in statements:
            result = await connection.execute(text(statement))
            rows = list(result) if result.returns_rows else []
    return rows


def revision(folder: Path, name: str, down: str | None, upgrade: str, downgrade: str = "pass") -> None:
    folder.mkdir(exist_ok=True)
    body = f"""
        \"\"\"About {name}.\"\"\"
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = {name!r}, {down!r}
        def upgrade():
            {upgrade}
        def downgrade():
            {downgrade}
    """
    (folder / f"{name}.py").write_text(dedent(body))


async def test_made_migrations_say_what_the_models_say_and_can_be_taken_back(database: Database) -> None:
    migrations = Migrations(database, metadata=[Shop.metadata])

    (path,) = await migrations.make()
    assert path.name.startswith("0001_")
    assert path.name.endswith("create_owners_articles.py")
    assert [str(found.path) for found in await migrations.pending()] == [str(path)]
    (applied,) = await migrations.upgrade()

    assert applied.path == path
    assert await migrations.current() == (applied.id,)
    assert await migrations.differences() == []
    assert await migrations.problems() == []
    assert await migrations.make() == []
    assert [found.id for found in await migrations.downgrade("base")] == [applied.id]
    assert await tables_of(database) <= {"alembic_version"}
    assert len(await migrations.upgrade()) == 1, "nothing of the first time is left in the way"
    assert await migrations.upgrade() == []


async def test_a_changed_model_becomes_the_next_migration(database: Database) -> None:
    migrations = Migrations(database, metadata=[Shop.metadata])
    await migrations.make()
    await migrations.upgrade()
    await run(
        database,
        "INSERT INTO owners (id, name) VALUES (1, 'Ada')",
        "INSERT INTO articles (id, owner_id, title, code, price, sold, born, at, facts, tags, kind) VALUES "
        "('018f0000000070008000000000000001', 1, 't', 'c', 1, FALSE, '2026-01-01', '2026-01-01 00:00:00', '{}', '[]', 'book')",
    )

    changed = MetaData(naming_convention=NAMES)
    for table in Shop.metadata.sorted_tables:
        table.to_metadata(changed)
    owners = changed.tables["owners"]
    owners.columns["name"].type = String(100)
    owners.columns["name"].nullable = True
    owners.append_column(Column("city", String(50)))
    migrations = Migrations(database, metadata=[changed])
    assert len(await migrations.differences()) == 3
    (path,) = await migrations.make("Owners live somewhere")
    assert path.name.startswith("0002_")
    assert path.name.endswith("owners_live_somewhere.py")
    await migrations.upgrade()

    assert await migrations.differences() == []
    assert await run(database, "SELECT name, city FROM owners") == [("Ada", None)]
    assert len(await run(database, "SELECT 1 FROM articles")) == 1, (
        "moving a table leaves the rows that point at it alone"
    )
    await migrations.downgrade()
    assert len(await run(database, "SELECT 1 FROM articles")) == 1


SHELF = """
    import sqlalchemy as sa
    from alembic import op

    def upgrade():
        op.create_table("shelf_books", sa.Column("id", sa.Integer, primary_key=True))

    def downgrade():
        op.drop_table("shelf_books")
"""


async def test_a_batterys_migrations_are_called_from_two_lines_and_its_tables_are_not_the_users(
    database: Database, library: MakeLibrary, tmp_path: Path
) -> None:
    shelf = library("shelf", models=(Book,), m0001_books=SHELF, m0002_more=SHELF.replace("shelf_books", "shelf_more"))
    migrations = Migrations(database, [shelf], metadata=[Shop.metadata, Library.metadata])

    first, second, own = await migrations.make()

    assert (first.name, second.name) == ("0001_shelf_books.py", "0002_shelf_more.py")
    assert 'revision, down_revision = "shelf_0002", "shelf_0001"' in second.read_text()
    assert "shelf_books" not in own.read_text()
    assert [found.id for found in await migrations.upgrade()][:2] == ["shelf_0001", "shelf_0002"]
    assert {"shelf_books", "shelf_more", "owners"} <= await tables_of(database)
    assert await migrations.make() == []
    assert migrations.uncalled() == []
    assert await migrations.problems() != [], "the check sees that the library's model and its migration differ"


async def test_tables_of_nobody_are_left_alone(database: Database) -> None:
    await run(database, "CREATE TABLE somebody_elses (id INTEGER)")
    migrations = Migrations(database, metadata=[Shop.metadata])
    (path,) = await migrations.make()
    assert "somebody_elses" not in path.read_text()
    await migrations.upgrade()
    assert await migrations.problems() == []


UPGRADE_IN_EIGHT_PROCESSES = """
import asyncio, os, sys
from pathlib import Path
from leyden.data import Database, DataSettings
from leyden.data.migrations import Migrations

async def upgrade(url, folder):
    async with Database(DataSettings(url=url, migrations=Path(folder))) as database:
        return len(await Migrations(database).upgrade())

children = []
for _ in range(8):
    if (child := os.fork()) == 0:
        try:
            os.write(1, b"%d " % asyncio.run(upgrade(*sys.argv[1:])))
        finally:
            os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


async def test_eight_processes_that_upgrade_at_once_apply_each_migration_once(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "migrations"
    revision(folder, "one", None, 'op.create_table("ticks", sa.Column("n", sa.Integer))')
    revision(folder, "two", "one", 'op.execute("INSERT INTO ticks (n) VALUES (1)")')
    url = database.settings.url.get_secret_value()
    command = [sys.executable, "-c", UPGRADE_IN_EIGHT_PROCESSES, url, str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, errors = await process.communicate()
    assert sorted(map(int, out.split())) == [0] * 7 + [2], errors.decode()
    assert await run(database, "SELECT n FROM ticks") == [(1,)]


async def test_a_migration_that_fails_leaves_nothing_behind_where_the_database_can(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "migrations"
    revision(folder, "one", None, 'op.create_table("kept", sa.Column("n", sa.Integer))')
    revision(folder, "two", "one", 'op.create_table("half", sa.Column("n", sa.Integer)); op.execute("SELECT nonsense")')
    migrations = Migrations(database)
    with pytest.raises(
        MigrationError, match=r"The migration two \(About two\) failed at two.py:7: .*nonsense"
    ) as failed:
        await migrations.upgrade()
    if database.dialect == "mysql":
        assert "cannot take back" in str(failed.value)
        assert await migrations.current() == ("one",)
    else:
        assert str(failed.value).endswith("Nothing was changed.")
        assert await tables_of(database) <= {"alembic_version"}
        assert await migrations.current() == ()


async def test_steps_can_be_taken_one_at_a_time(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    for name, down in (("one", None), ("two", "one"), ("three", "two")):
        revision(
            folder, name, down, f'op.create_table("t_{name}", sa.Column("n", sa.Integer))', f'op.drop_table("t_{name}")'
        )
    migrations = Migrations(database)
    assert [found.id for found in await migrations.upgrade("+1")] == ["one"]
    assert [found.id for found in await migrations.upgrade("three")] == ["two", "three"]
    assert [found.id for found in await migrations.downgrade()] == ["three"]
    assert [found.id for found in await migrations.downgrade("one")] == ["two"]
    with pytest.raises(MigrationError, match="nowhere"):
        await migrations.upgrade("nowhere")


async def test_make_refuses_while_the_users_own_migrations_are_not_applied(database: Database, tmp_path: Path) -> None:
    revision(tmp_path / "migrations", "one", None, "pass")
    with pytest.raises(MigrationError, match=r"lacks one \(About one\). Run `leyden db upgrade` first"):
        await Migrations(database, metadata=[]).make()
    assert len(list((tmp_path / "migrations").iterdir())) == 1


async def test_a_database_of_newer_code_is_not_touched(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    revision(folder, "one", None, "pass")
    revision(folder, "two", "one", "pass")
    await Migrations(database).upgrade()
    (folder / "two.py").unlink()
    for act in (Migrations(database).upgrade, Migrations(database).downgrade, Migrations(database, metadata=[]).make):
        with pytest.raises(MigrationError, match="at the revision 'two', which is not in"):
            await act()


async def test_a_hand_made_migration_has_a_body_to_fill_in(database: Database) -> None:
    migrations = Migrations(database, metadata=[])
    (path,) = await migrations.make('Say "hello" """now"""', empty=True)
    assert "    pass" in path.read_text()
    assert len(await migrations.upgrade()) == 1


async def test_a_migration_that_cannot_be_imported_is_named_with_its_line(database: Database, tmp_path: Path) -> None:
    revision(tmp_path / "migrations", "one", None, "pass")
    with (tmp_path / "migrations" / "one.py").open("a") as file:
        file.write("nonsense()\n")
    with pytest.raises(MigrationError, match=r"The migration one\.py:10 cannot be read: NameError: .*nonsense"):
        await Migrations(database).upgrade()


async def test_sqlite_refuses_a_migration_that_leaves_a_row_pointing_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    revision(folder, "one", None, 'op.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")')
    revision(folder, "two", "one", 'op.execute("CREATE TABLE b (a_id INTEGER REFERENCES a(id))")')
    revision(folder, "three", "two", 'op.execute("INSERT INTO b VALUES (7)")')
    async with Database(DataSettings(url=f"sqlite:///{tmp_path}/x.db", migrations=folder)) as database:
        with pytest.raises(MigrationError, match="a row of b would point at a row of a that is not there"):
            await Migrations(database).upgrade()
        assert await tables_of(database) <= {"alembic_version"}
