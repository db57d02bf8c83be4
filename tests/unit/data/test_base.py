import enum
import uuid
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Enum, ForeignKey, String
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CreateTable

from leyden.data import Base, Model


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Thing(Model):
    __tablename__ = "base_things"
    __table_args__ = (CheckConstraint("name <> ''", name="name_given"),)
    name: Mapped[str] = mapped_column(unique=True)
    size: Mapped[Size]
    at: Mapped[datetime | None]
    facts: Mapped[dict[str, list[int]]]
    tags: Mapped[list[str] | None]
    other_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("base_things.id"), index=True)


TABLE = Base.metadata.tables["base_things"]


def ddl(dialect: Any) -> str:
    return str(CreateTable(TABLE).compile(dialect=dialect()))


def test_constraints_have_names_that_migrations_can_use() -> None:
    names = {str(rule.name) for rule in TABLE.constraints if rule is not TABLE.primary_key}
    assert names == {"uq_base_things_name", "ck_base_things_name_given", "fk_base_things_other_id_base_things"}
    assert {index.name for index in TABLE.indexes} == {"ix_base_things_other_id"}


def test_the_first_column_is_the_id_and_the_last_are_the_timestamps() -> None:
    names = [column.name for column in TABLE.columns]
    assert names[0] == "id"
    assert names[-2:] == ["created_at", "updated_at"]


@pytest.mark.parametrize(
    ("dialect", "moment", "document", "key"),
    [
        (postgresql.asyncpg.dialect, "TIMESTAMP WITH TIME ZONE", "JSONB", "UUID"),
        (mysql.asyncmy.dialect, "DATETIME(6)", "JSON", "CHAR(32)"),
        (sqlite.aiosqlite.dialect, "DATETIME", "JSON", "CHAR(32)"),
    ],
)
def test_types_are_the_best_each_database_has(dialect: Any, moment: str, document: str, key: str) -> None:
    text = ddl(dialect)
    assert f"created_at {moment} NOT NULL" in text
    assert f"facts {document} NOT NULL" in text
    assert f"tags {document}" in text
    assert f"id {key} NOT NULL" in text


def test_text_has_a_length_and_an_enum_is_text_of_its_values() -> None:
    assert isinstance(TABLE.c.name.type, String)
    assert TABLE.c.name.type.length == 255
    kind = TABLE.c.size.type
    assert isinstance(kind, Enum)
    assert (kind.enums, kind.native_enum) == (["small", "large"], False)
    assert "CREATE TYPE" not in ddl(postgresql.asyncpg.dialect)
