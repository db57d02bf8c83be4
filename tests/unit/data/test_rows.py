from decimal import Decimal
from typing import Any

import pytest
from pydantic import MISSING, BaseModel
from sqlalchemy import Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, column_property, mapped_column

from leyden.core import ConfigurationError
from leyden.data import Base, InvalidValueError
from leyden.data.rows import columns_of, mapper_of, unique_sets, values_of


class Thing(Base):
    __tablename__ = "rows_things"
    __table_args__ = (
        UniqueConstraint("shop_name", "code"),
        Index("ux_rows_live", "nick", unique=True, sqlite_where=text("gone = 0"), postgresql_where=text("gone = 0")),
        Index("ux_rows_lower", func.lower("title"), unique=True),
        Index("ux_rows_slug", "slug", unique=True),
        Index("ix_rows_title", "title"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    shop: Mapped[str] = mapped_column("shop_name")
    code: Mapped[str]
    nick: Mapped[str]
    title: Mapped[str]
    slug: Mapped[str]
    price: Mapped[Decimal | None] = mapped_column(info={"field": "cost"})
    gone: Mapped[int] = mapped_column()
    double = column_property(gone * 2)


THING = mapper_of(Thing)


class ThingIn(BaseModel):
    code: str
    slug: str | MISSING = MISSING


def test_only_what_holds_for_all_rows_and_whole_columns_makes_a_key() -> None:
    assert set(unique_sets(THING)) == {frozenset({"id"}), frozenset({"shop", "code"}), frozenset({"slug"})}


@pytest.mark.parametrize(
    ("row", "values"),
    [({}, {}), ({"price": Decimal("1e400")}, {"price": Decimal("1e400")}), (ThingIn(code="a"), {"code": "a"})],
)
def test_a_row_is_a_dict_or_a_model_of_which_only_what_was_sent_counts(row: Any, values: dict[str, Any]) -> None:
    assert values_of(THING, row) == values


@pytest.mark.parametrize("name", ["shop_name", "double", "metadata", "nothing"])
def test_what_is_no_column_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Thing has no column {name}"):
        values_of(THING, {"code": "a", name: 1})
    assert name not in columns_of(THING)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), float("nan"), Decimal("sNaN")])
def test_what_is_no_number_is_named_as_the_input_calls_it(value: object) -> None:
    with pytest.raises(InvalidValueError) as refused:
        values_of(THING, {"price": value})
    assert [(field.field, field.code) for field in refused.value.fields] == [("cost", "finite_number")]
