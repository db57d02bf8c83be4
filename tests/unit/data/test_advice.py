"""What is said of each operation: to those who use the table, and what to do instead."""

import pytest
import sqlalchemy as sa
from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateCheckConstraintOp,
    CreateForeignKeyOp,
    CreateIndexOp,
    CreateTableOp,
    CreateUniqueConstraintOp,
    DropColumnOp,
    DropTableOp,
    ExecuteSQLOp,
    MigrateOperation,
    ModifyTableOps,
    RenameTableOp,
)

from leyden.data.advice import advice, made_by

EVERYWHERE = ("postgresql", "mysql", "sqlite")
POSTGRESQL = ("postgresql",)


def added(*arguments: object, **options: object) -> AddColumnOp:
    return AddColumnOp("notes", sa.Column("body", *arguments, **options))  # type: ignore[arg-type]  # as Column takes them


def altered(**options: object) -> AlterColumnOp:
    return AlterColumnOp("notes", "body", **options)  # type: ignore[arg-type]  # as the operation takes them


@pytest.mark.parametrize(
    ("operation", "words", "dialects"),
    [
        (added(sa.Text, nullable=False), "may not be null and has no default", EVERYWHERE),
        (added(sa.Uuid, server_default=sa.func.gen_random_uuid()), "writes the whole table anew", POSTGRESQL),
        (added(sa.Integer, sa.Computed("1 + 1")), "which the database computes", POSTGRESQL),
        (DropColumnOp("notes", "body"), "Dropping notes.body: the running release still reads", EVERYWHERE),
        (DropTableOp("notes"), "Dropping the table notes", EVERYWHERE),
        (RenameTableOp("notes", "texts"), "knows the old name only", EVERYWHERE),
        (altered(modify_name="text"), "Renaming notes.body to text", EVERYWHERE),
        (altered(modify_type=sa.Integer()), "Changing the type of notes.body", EVERYWHERE),
        (altered(existing_type=sa.String(9), modify_type=sa.String(5)), "Changing the type", EVERYWHERE),
        (altered(existing_type=sa.Text(), modify_type=sa.String(5)), "Changing the type", EVERYWHERE),
        (altered(modify_nullable=False), "Forbidding notes.body to be null", EVERYWHERE),
        (altered(modify_server_default=None, existing_nullable=False), "Dropping the default of notes.body", EVERYWHERE),
        (CreateIndexOp("ix", "notes", ["body"]), "nobody can write to notes", POSTGRESQL),
        (CreateUniqueConstraintOp("uq", "notes", ["body"]), "USING INDEX", POSTGRESQL),
        (CreateForeignKeyOp("fk", "notes", "users", ["a"], ["b"]), "all rows of notes are read", EVERYWHERE),
        (CreateCheckConstraintOp("ck", "notes", "a > 0"), "all rows of notes are read", EVERYWHERE),
        (ExecuteSQLOp("CREATE UNIQUE INDEX ix ON public.notes (body)"), "nobody can write to notes", POSTGRESQL),
        (ExecuteSQLOp("-- WHERE\nupdate notes\n SET body = ''"), "Changing every row of notes", EVERYWHERE),
        (ExecuteSQLOp(sa.text("DELETE FROM notes")), "Changing every row of notes", EVERYWHERE),
        (ExecuteSQLOp("DROP TABLE IF EXISTS notes"), "Dropping the table notes", EVERYWHERE),
        (ExecuteSQLOp('ALTER TABLE "notes" DROP COLUMN body'), "A column of notes", EVERYWHERE),
    ],
)  # fmt: skip
def test_what_locks_or_breaks_is_told_where_it_does(
    operation: MigrateOperation, words: str, dialects: tuple[str, ...]
) -> None:
    for dialect in EVERYWHERE:
        said = advice([ModifyTableOps("notes", [operation])], dialect)
        assert len(said) == (dialect in dialects), (dialect, said)
        assert all(words in text and text.endswith(".") for text in said), said


@pytest.mark.parametrize(
    "operation",
    [
        added(sa.Text),
        added(sa.Text, nullable=False, server_default=""),
        added(sa.DateTime, nullable=False, server_default=sa.func.now()),
        altered(existing_type=sa.String(5), modify_type=sa.String(9)),
        altered(existing_type=sa.String(5), modify_type=sa.Text()),
        altered(modify_nullable=True),
        altered(modify_server_default="x"),
        CreateTableOp("texts", [sa.Column("id", sa.Integer)]),
        ExecuteSQLOp("UPDATE notes SET body = '' WHERE body IS NULL"),
        ExecuteSQLOp("CREATE INDEX CONCURRENTLY ix ON notes (body)"),
        ExecuteSQLOp("SELECT 1"),
    ],
)
def test_what_disturbs_nobody_is_not_told(operation: MigrateOperation) -> None:
    assert [advice([operation], dialect) for dialect in EVERYWHERE] == [[], [], []]


def test_what_is_done_online_is_not_told_on_postgresql() -> None:
    done = [
        CreateIndexOp("ix", "notes", ["body"], postgresql_concurrently=True),
        CreateForeignKeyOp("fk", "notes", "users", ["a"], ["b"], postgresql_not_valid=True),
        CreateCheckConstraintOp("ck", "notes", "a > 0", postgresql_not_valid=True),
    ]
    assert advice(done, "postgresql") == []


def test_a_table_that_is_made_is_nobodys_yet() -> None:
    table = CreateTableOp("notes", [sa.Column("id", sa.Integer)])
    after = [CreateIndexOp("ix", "notes", ["id"]), DropColumnOp("notes", "id"), ExecuteSQLOp("DELETE FROM notes")]
    assert advice([table, *after], "postgresql") == []
    assert advice(after, "postgresql", made_by([table])) == []
    assert len(advice([*after, table], "postgresql")) == 3
