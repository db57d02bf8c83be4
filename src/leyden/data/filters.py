"""Filters of a list: what may be asked of a column, and the type of what it is compared with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from inspect import Parameter
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, NaiveDatetime, StringConstraints
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Numeric,
    Select,
    SmallInteger,
    String,
    Time,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.types import TypeEngine

from leyden.core import ConfigurationError

Attribute = QueryableAttribute[Any]
Step = Callable[[Select[Any]], Select[Any]]
"""What one part of a listing does to a statement."""

MOST_CHOICES = 100
"""How many values `in` takes."""

_LONGEST_TEXT = 1000
"""Characters, for a column that has no length."""
_STORABLE = r"^[^\x00]*$"  # PostgreSQL has no NUL, in no text
_MOST_DIGITS = 65
"""Of a decimal column that has no precision: as many as MariaDB has."""


@dataclass(frozen=True, slots=True)
class Operator:
    """`words` go after the name of the column."""

    words: str
    condition: Callable[[Attribute, Any], ColumnElement[bool]]
    kinds: tuple[type, ...] | None = None


_ORDERED = (Integer, Float, Numeric, DateTime, Date, Time, String, Uuid)
OPERATORS: dict[str, Operator] = {
    "eq": Operator("is this", lambda column, value: column == value),
    "ne": Operator("is not this, or is not set", lambda column, value: column.is_distinct_from(value)),
    "lt": Operator("is less than this", lambda column, value: column < value, _ORDERED),
    "lte": Operator("is this or less", lambda column, value: column <= value, _ORDERED),
    "gt": Operator("is more than this", lambda column, value: column > value, _ORDERED),
    "gte": Operator("is this or more", lambda column, value: column >= value, _ORDERED),
    "in": Operator("is one of these, divided by commas", lambda column, value: column.in_(value)),
    "contains": Operator(
        "contains this, in capitals or not", lambda column, value: column.icontains(value, autoescape=True), (String,)
    ),
    "startswith": Operator(
        "begins with this, in capitals or not",
        lambda column, value: column.istartswith(value, autoescape=True),
        (String,),
    ),
    "isnull": Operator("is not set", lambda column, value: column.is_(None) if value else column.is_not(None)),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition that a list may be asked for: `?name=...` or `?name__operator=...`."""

    column: Attribute
    name: str
    operator: str

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            near = nearest(self.operator, OPERATORS)
            raise ConfigurationError(f"There is no operator '{self.operator}' for {self.name}. Did you mean '{near}'?")
        kinds = OPERATORS[self.operator].kinds
        plain = _plain(self.column.type)
        if kinds is not None and (not isinstance(plain, kinds) or isinstance(plain, Enum)):
            raise ConfigurationError(
                f"The operator '{self.operator}' says nothing of {self.name}: {plain!r}. Remove it."
            )

    @property
    def key(self) -> str:
        return self.name if self.operator == "eq" else f"{self.name}__{self.operator}"

    def parameter(self) -> Parameter:
        about = Query(title=self.key, description=f"`{self.name}` {OPERATORS[self.operator].words}")
        return Parameter(
            self.key, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[self._asked() | None, about]
        )

    def step(self, values: Mapping[str, Any]) -> Step | None:
        value = values[self.key]
        if value is None:
            return None
        condition = OPERATORS[self.operator].condition(self.column, value)
        return lambda statement: statement.where(condition)

    def _asked(self) -> Any:
        if self.operator == "isnull":
            return bool
        kind = asked_type(self.column.type, self.name)
        if self.operator in ("contains", "startswith"):
            return Annotated[kind, Field(min_length=1)]
        if self.operator == "in":
            return Annotated[list[kind], BeforeValidator(split), Field(max_length=MOST_CHOICES)]  # type: ignore[valid-type]  # made here
        return kind


def nearest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    return get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def split(texts: Any) -> Any:
    """`?a=1,2` is `?a=1&a=2`."""
    return [part for text in texts for part in text.split(",")] if isinstance(texts, list) else texts


def asked_type(kind: TypeEngine[Any], name: str) -> Any:
    """What a query parameter for this column must be, so that every database can compare it.

    Raises ConfigurationError for a column that no text can be compared with.
    """
    plain = _plain(kind)
    for known, make in _TYPES:
        if isinstance(plain, known):
            return make(plain)
    raise ConfigurationError(f"{name} cannot be a filter: it is {plain!r}. Leave it out, or write a parameter by hand.")


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return _plain(kind.impl_instance) if isinstance(kind, TypeDecorator) else kind


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("The moment is out of range.") from None


def _text(kind: Any) -> Any:
    return Annotated[str, StringConstraints(max_length=kind.length or _LONGEST_TEXT, pattern=_STORABLE)]


def _decimal(kind: Any) -> Any:
    if not kind.asdecimal:
        return _FLOAT
    digits = Field(max_digits=kind.precision or _MOST_DIGITS, decimal_places=kind.scale, allow_inf_nan=False)
    return Annotated[Decimal, digits]


def _integer(bits: int) -> Any:
    return Annotated[int, Field(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


_FLOAT = Annotated[float, Field(allow_inf_nan=False)]
_MOMENT = Annotated[AwareDatetime, AfterValidator(_in_utc)]
_TYPES: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...] = (  # a subclass before its base
    (Enum, lambda kind: kind.enum_class or Literal[tuple(kind.enums)]),
    (Boolean, lambda _: bool),
    (SmallInteger, lambda _: _integer(16)),
    (BigInteger, lambda _: _integer(64)),
    (Integer, lambda _: _integer(32)),
    (Float, lambda _: _FLOAT),
    (Numeric, _decimal),
    (String, _text),
    (DateTime, lambda kind: _MOMENT if kind.timezone else NaiveDatetime),
    (Date, lambda _: date),
    (Time, lambda _: time),
    (Uuid, lambda kind: UUID if kind.as_uuid else str),
)
