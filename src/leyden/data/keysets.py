"""Keysets: what a list is sorted by, and what comes beyond a row of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Float,
    Label,
    Select,
    Table,
    UnaryExpression,
    and_,
    bindparam,
    cast,
    false,
    inspect,
    or_,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import OrderByList, TextClause, _label_reference, _textual_label_reference
from sqlalchemy.sql.selectable import Alias, Join
from sqlalchemy.types import NullType

from leyden.core import ConfigurationError
from leyden.data.types import MYSQL

_MODIFIERS: dict[Any, dict[str, Any]] = {
    operators.asc_op: {"descending": False},
    operators.desc_op: {"descending": True},
    operators.nulls_first_op: {"nulls_first": True},
    operators.nulls_last_op: {"nulls_first": False},
}
_RAW = NullType()
"""What the driver gives and takes: no conversion on the way may lose a digit."""


@dataclass(frozen=True, slots=True)
class Key:
    """One of the things that a list is sorted by; without `nulls_first`, nulls are where the database puts them."""

    column: ColumnElement[Any]
    descending: bool = False
    nulls_first: bool | None = None
    nullable: bool = True

    def __str__(self) -> str:
        table = getattr(self.column, "table", None)
        name = f"{getattr(table, 'name', '')}.{self.column.name}" if isinstance(self.column, Column) else self.column
        kind = type(self.column.type).__name__  # a cursor from before a migration is no cursor of this list
        return f"{name} {kind} {'desc' if self.descending else 'asc'} {self.nulls_first}"


class Keyset:
    """The total order of a statement's rows, on one kind of database."""

    def __init__(self, keys: Sequence[Key], dialect: str) -> None:
        self.keys = tuple(keys)
        self._dialect = dialect

    @classmethod
    def of(cls, statement: Select[*tuple[Any, ...]], dialect: str) -> "Keyset":
        """The statement's own order, made total by what tells its rows apart.

        Raises ConfigurationError where that cannot be found.
        """
        keys = [key for clause in statement._order_by_clauses for key in _keys(clause, statement)]  # noqa: SLF001 -- SQLAlchemy shows it nowhere else
        descending = keys[-1].descending if keys else False
        for column in _identity(statement):
            if not any(key.column.compare(column) for key in keys):
                keys.append(Key(column, descending))  # in the same direction: one index serves both
        sure = _Sure(statement)
        return cls([replace(key, nullable=not sure.holds(key.column)) for key in keys], dialect)

    def __str__(self) -> str:
        return ", ".join(map(str, self.keys))

    def columns(self) -> list[Label[Any]]:
        """The values of a row, to be selected beside what the statement selects."""
        return [self._value(key).label(f"leyden_key_{number}") for number, key in enumerate(self.keys)]

    def order(self, *, backward: bool) -> list[ColumnElement[Any]]:
        return [clause for key in self.keys for clause in self._clauses(key, backward=backward)]

    def beyond(self, values: Sequence[Any], *, backward: bool, inclusive: bool) -> list[ColumnElement[bool]]:
        """Conditions for the rows after these values, or before them: stretches that follow each other.

        There is a second where the first sort key can be null: no index finds values and nulls by one condition.
        """
        sides = [
            _Side(key, value, nulls_first=self._first(key), backward=backward)
            for key, value in zip(self.keys, values, strict=True)
        ]
        if self._comparable():
            return [_as_rows(sides, inclusive=inclusive)]
        lead = sides[0]
        further: ColumnElement[bool] = true() if inclusive else false()
        for side in reversed(sides[1:]):
            further = or_(side.after(), and_(side.equal(), further))
        if lead.null:
            rest = [] if lead.nulls_after else [lead.column.is_not(None)]
            return [and_(lead.equal(), further), *rest]
        # The first of these says nothing new, and is the one that an index can use.
        values_after = and_(lead.not_before(), or_(lead.beyond(), and_(lead.equal(), further)))
        return [values_after, *([lead.column.is_(None)] if lead.nulls_after else [])]

    def _comparable(self) -> bool:
        """Whether rows can be compared as rows; MariaDB can, but uses no index for it."""
        directions = {key.descending for key in self.keys}
        nullable = any(key.nullable for key in self.keys)
        return len(self.keys) > 1 and len(directions) == 1 and not nullable and self._dialect not in MYSQL

    def _value(self, key: Key) -> ColumnElement[Any]:
        if self._dialect != "sqlite" and isinstance(key.column.type, Float):
            return cast(key.column, Double())  # what has single precision is shown rounded, and compared exactly
        return type_coerce(key.column, _RAW)

    def _first(self, key: Key) -> bool:
        return self._usually_first(descending=key.descending) if key.nulls_first is None else key.nulls_first

    def _usually_first(self, *, descending: bool) -> bool:
        """To PostgreSQL null is more than any value, to the others less."""
        return descending if self._dialect == "postgresql" else not descending

    def _clauses(self, key: Key, *, backward: bool) -> Iterator[ColumnElement[Any]]:
        descending, first = key.descending != backward, self._first(key) != backward
        clause = key.column.desc() if descending else key.column.asc()
        if not key.nullable or first == self._usually_first(descending=descending):
            yield clause
        elif self._dialect in MYSQL:  # which has no NULLS FIRST
            yield key.column.is_(None).desc() if first else key.column.is_(None).asc()
            yield clause
        else:
            yield clause.nulls_first() if first else clause.nulls_last()


class _Side:
    """One key and the value of the row that we stand beside."""

    def __init__(self, key: Key, value: Any, *, nulls_first: bool, backward: bool) -> None:
        self.column: ColumnElement[Any] = type_coerce(key.column, _RAW)
        self.bound: ColumnElement[Any] = bindparam(None, value, type_=_RAW, unique=True)
        self.up = key.descending == backward
        self.null = value is None
        self.nulls_after = key.nullable and nulls_first == backward

    def after(self) -> ColumnElement[bool]:
        if self.null:
            return false() if self.nulls_after else self.column.is_not(None)
        return or_(self.beyond(), self.column.is_(None)) if self.nulls_after else self.beyond()

    def equal(self) -> ColumnElement[bool]:
        return self.column.is_(None) if self.null else self.column == self.bound

    def beyond(self) -> ColumnElement[bool]:
        return self.column > self.bound if self.up else self.column < self.bound

    def not_before(self) -> ColumnElement[bool]:
        return self.column >= self.bound if self.up else self.column <= self.bound


def _as_rows(sides: Sequence[_Side], *, inclusive: bool) -> ColumnElement[bool]:
    ours, theirs = tuple_(*(side.column for side in sides)), tuple_(*(side.bound for side in sides))
    if inclusive:
        return ours >= theirs if sides[0].up else ours <= theirs
    return ours > theirs if sides[0].up else ours < theirs


def _keys(clause: Any, statement: Select[*tuple[Any, ...]]) -> Iterator[Key]:
    """From what was given to `order_by`, however it is wrapped."""
    match clause:
        case OrderByList():
            for each in clause.clauses:
                yield from _keys(each, statement)
        case _label_reference():
            yield from _keys(clause.element, statement)
        case _textual_label_reference():
            yield Key(_bare(_named(clause.element, statement)))
        case UnaryExpression() if clause.modifier in _MODIFIERS:
            for key in _keys(clause.element, statement):
                yield replace(key, **_MODIFIERS[clause.modifier])
        case TextClause():
            raise ConfigurationError(f"A list cannot be paged by the text '{clause.text}'. Sort by columns.")
        case _:
            yield Key(_bare(clause))


def _bare(column: Any) -> ColumnElement[Any]:
    """A condition knows no labels."""
    return _bare(column.element) if isinstance(column, Label) else column


def _named(name: str, statement: Select[*tuple[Any, ...]]) -> ColumnElement[Any]:
    try:
        return statement.selected_columns[name]
    except KeyError:
        raise ConfigurationError(f"A list cannot be paged by '{name}', which the statement does not select.") from None


def _identity(statement: Select[*tuple[Any, ...]]) -> list[ColumnElement[Any]]:
    """The columns that together no two rows share."""
    if statement._group_by_clauses:  # noqa: SLF001 -- as above
        return [_bare(getattr(clause, "element", clause)) for clause in statement._group_by_clauses]  # noqa: SLF001 -- as above
    found = list(dict.fromkeys(_identities(statement)))
    if not found:
        raise ConfigurationError("A list needs a primary key to be paged by. Select an entity, or a column of a table.")
    return found


def _identities(statement: Select[*tuple[Any, ...]]) -> Iterator[ColumnElement[Any]]:
    for described in statement.column_descriptions:
        entity, expression = described.get("entity"), described["expr"]
        if statement._distinct and expression is not entity:  # noqa: SLF001 -- as above
            yield _bare(expression.__clause_element__() if hasattr(expression, "__clause_element__") else expression)
        elif entity is not None:
            known: Any = inspect(entity)
            keys = [known.mapper.get_property_by_column(column).key for column in known.mapper.primary_key]
            yield from (getattr(known.entity, key).expression for key in keys)
        else:
            yield from getattr(getattr(expression, "table", None), "primary_key", ())


class _Sure:
    """Which columns hold a value in every row of a statement; in doubt none does, which costs time and no rows."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        flags = [join[3] for join in statement._setup_joins]  # noqa: SLF001 -- as above
        froms = list(_joins(statement._from_obj))  # noqa: SLF001 -- as above
        self._outer = any(each["isouter"] or each["full"] for each in flags) or any(
            join.isouter or join.full for join in froms
        )
        self._main: Any = None
        if not statement._from_obj and not any(each["full"] for each in flags):  # noqa: SLF001 -- as above
            entity = statement.column_descriptions[0].get("entity")
            self._main = inspect(entity).selectable if entity is not None else None

    def holds(self, column: ColumnElement[Any]) -> bool:
        if not isinstance(column, Column) or column.nullable:
            return False
        table = column.table
        plain = isinstance(table, Table) or (isinstance(table, Alias) and isinstance(table.element, Table))
        return plain and (not self._outer or table == self._main)


def _joins(froms: Iterable[Any]) -> Iterator[Join]:
    for each in froms:
        if isinstance(each, Join):
            yield each
            yield from _joins((each.left, each.right))
