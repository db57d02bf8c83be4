"""A statement before any database has seen it: what its rows are called, what it is given, and whether it writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    Column,
    Delete,
    FromClause,
    Insert,
    Label,
    Select,
    Update,
    UpdateBase,
    inspect,
    select,
)
from sqlalchemy.orm import LoaderCriteriaOption, Mapper, QueryableAttribute
from sqlalchemy.orm.util import AliasedInsp
from sqlalchemy.sql import visitors

from leyden.core import ConfigurationError

Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete

_NAMELESS = "_no_label"
"""What SQLAlchemy calls an expression."""


@dataclass(frozen=True, slots=True)
class Declared:
    """`names` are those of its columns, `bound` those of its parameters, `columns` the keys behind its model's names."""

    statement: Statement
    names: tuple[str, ...]
    writes: bool
    locks: bool
    bound: frozenset[str]
    columns: Mapping[str, str]

    def __str__(self) -> str:
        return f"prepared({' '.join(str(self.statement).split())})"

    def bind(self, parameters: Mapping[str, Any]) -> tuple[Statement, dict[str, Any]]:
        """The statement and what is left of the parameters, for SQLAlchemy's own execution.

        That takes every parameter of an insert or update for a value of the column with its name, the statement's too.
        """
        if not isinstance(self.statement, Select) and (hidden := set(parameters) - self.bound - {*self.columns}):
            raise ConfigurationError(
                f"This driver finds no parameter such as '{min(hidden)}' in values([...]). Call the statement for each row."
            )
        if isinstance(self.statement, Select):
            return self.statement, dict(parameters)
        own = {name: value for name, value in parameters.items() if name in self.bound}
        left = {name: value for name, value in parameters.items() if name not in own}
        bound = self._given(own)
        # Beside a statement they would be taken for one of many rows, and of those nobody says how many there are.
        return (bound.values(left), {}) if left and isinstance(bound, Insert) else (bound, left)

    def _given(self, own: Mapping[str, Any]) -> Statement:
        def give(bind: BindParameter[Any]) -> None:
            if bind.key in own:
                bind.value, bind.required = own[bind.key], False

        options = {"maintain_key": True, "detect_subquery_cols": True}  # as `Select.params` does it
        return visitors.cloned_traverse(self.statement, options, {"bindparam": give}) if own else self.statement

    def refuse_nameless(self) -> None:
        if any(name.startswith(_NAMELESS) for name in self.names):
            raise ConfigurationError(f"A column of {self} has no name. Give it a label.")


def declare(statement: Statement) -> Declared:
    """Raises ConfigurationError for what cannot be prepared."""
    if not isinstance(statement, Select | Insert | Update | Delete):
        raise ConfigurationError("Only select(...), insert(...), update(...) and delete(...) can be prepared.")
    _refuse_options(statement)
    found = [column for described in _described(statement) for column in _columns(described)]
    names = tuple(name for name, _ in found)
    _refuse_twice(names)
    if len(names) > 1 and None in names:
        raise ConfigurationError(
            "A column of the statement is plain text. Write literal_column(...).label(...) for it."
        )
    parts = list(visitors.iterate(statement))
    return Declared(
        _of_columns(statement, [column for _, column in found]),
        names,
        writes=any(isinstance(part, UpdateBase) for part in parts),
        locks=isinstance(statement, Select) and statement._for_update_arg is not None,  # noqa: SLF001 -- nowhere else
        bound=frozenset(part.key for part in parts if isinstance(part, BindParameter) and not part.unique),
        columns={} if isinstance(statement, Select) else _written(statement),
    )


def _refuse_options(statement: Statement) -> None:
    if any(not isinstance(option, LoaderCriteriaOption) for option in statement._with_options):  # noqa: SLF001 -- as above
        raise ConfigurationError(
            "A prepared statement loads no objects, so it has no use for options such as selectinload. "
            "Leave them out, or use a session."
        )


def _described(statement: Statement) -> Sequence[Mapping[str, Any]]:
    if isinstance(statement, Select):
        return list(statement.column_descriptions)
    # SQLAlchemy's own description of `returning` breaks off at a label.
    returning: Sequence[Any] = statement._returning  # noqa: SLF001 -- as above
    return list(select(*returning).column_descriptions) if returning else ()


def _columns(described: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Name and column; a whole model stands for all of its columns."""
    found = described["expr"]
    entity = inspect(found, raiseerr=False)
    if isinstance(entity, Mapper | AliasedInsp):
        return [(key, getattr(found, key)) for key in entity.mapper.column_attrs.keys()]  # noqa: SIM118 -- no dict
    if isinstance(found, Column) and "entity" not in described:  # no model: a row has the names of the database
        return [(found.name, found)]
    return [(found.key if isinstance(found, QueryableAttribute | Label) else _name(described), found)]


def _name(described: Mapping[str, Any]) -> str:
    if described["name"] is None:
        raise ConfigurationError(
            "A column of the statement is plain text. Write literal_column(...).label(...) for it."
        )
    return str(described["name"])


def _refuse_twice(names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"Two columns of the statement are called '{twice[0]}'. Give one of them a label.")


def _of_columns(statement: Statement, columns: Sequence[Any]) -> Statement:
    """The same of columns alone. `inline`, because nobody asks what the database made of each default."""
    if isinstance(statement, Select):
        return statement.with_only_columns(*columns)
    bare: Any = statement.inline() if isinstance(statement, Insert) else statement
    if columns:
        bare = bare._generate()  # noqa: SLF001 -- a copy, as each of SQLAlchemy's own methods makes
        bare._returning = ()  # noqa: SLF001 -- which `returning` only adds to
        bare = bare.returning(*columns)
    return cast("Statement", bare)


def _written(statement: Insert | Update | Delete) -> dict[str, str]:
    """From the names that a caller may give to the keys of the columns, which a model may call something else."""
    mapper = inspect(statement.entity_description.get("entity"), raiseerr=False)
    if isinstance(mapper, Mapper):
        return {name: attribute.columns[0].key for name, attribute in mapper.column_attrs.items()}
    return {column.key: column.key for column in cast("FromClause", statement.table).columns}
