"""A statement compiled once: its SQL, where its arguments go, and how its rows come back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import BindParameter, Column, Dialect, Select
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault
from sqlalchemy.types import TypeEngine

from leyden.core import ConfigurationError
from leyden.data.statements import Declared

Row = Sequence[Any]
Convert = Callable[[Any], Any]

MOST_PLANS = 256
"""How many one statement may have: a caller who passes on what a client has sent gives names of the client's choice."""

TRANSLATED = "schema_translate_map"
"""The option that only SQLAlchemy's own execution honours: other names in the SQL for each connection."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a column's default is told, as SQLAlchemy's own execution tells it."""

    execution_options: Mapping[str, Any]
    current_parameters: Mapping[str, Any]

    def get_current_parameters(self, *_: Any, **__: Any) -> Mapping[str, Any]:
        return self.current_parameters


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Where the values of the placeholders come from, by the names these have in the SQL."""

    order: list[tuple[str, Convert | None]] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    computed: dict[str, Callable[[], Any]] = field(default_factory=dict)
    defaults: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    def straight(self) -> tuple[str, ...] | None:
        """The caller's names in the order of the placeholders, if that is all there is to it."""
        plain = all(name in self.given and convert is None for name, convert in self.order)
        return tuple(self.given[name] for name, _ in self.order) if plain else None

    def of(self, values: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Any, ...]:
        found = self.constants | {name: values[key] for name, key in self.given.items()}
        for name, compute in self.computed.items():
            found[name] = compute()
        for name, default in self.defaults.items():
            found[name] = default(Context(options, found))
        return tuple([found[name] if convert is None else convert(found[name]) for name, convert in self.order])


class Plan:
    """Runs on any connection of the dialect it was compiled for. Whoever runs it lets it `learn` before its rows are used.

    `told` are the types that the driver gave the columns when it last learned: a migration may change them at any time.
    """

    __slots__ = ("_placeholders", "_straight", "convert", "learned", "names", "returns", "sql", "told", "types")

    def __init__(
        self, sql: str, placeholders: Placeholders, *, names: Sequence[str], types: Sequence[TypeEngine[Any]]
    ) -> None:
        self.sql: Final = sql
        self.names: Final = tuple(names)
        self.types: Final = tuple(types)
        self.returns: Final = bool(names)
        self.learned = False
        self.told: tuple[Any, ...] = ()
        self.convert: Callable[[Row], Row] | None = None
        self._placeholders: Final = placeholders
        self._straight: Final = placeholders.straight()

    def arguments(self, values: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Any, ...]:
        """In the order of the placeholders, as the driver wants them; `options` are what column defaults are told.

        Raises StatementError, as SQLAlchemy's own execution does, for a value that a column type cannot take.
        """
        if self._straight is not None:
            return tuple([values[name] for name in self._straight])
        try:
            return self._placeholders.of(values, options)
        except Exception as error:
            known = DBAPIError.instance(self.sql, None, error, DBAPIError, hide_parameters=True)
            if known is error:  # one that asks to be left as it is
                raise
            raise known from error

    def rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The driver's rows with the values that SQLAlchemy would have given."""
        convert = self.convert
        return rows if convert is None else [convert(row) for row in rows]

    def learn(self, dialect: Dialect, driver_types: Sequence[Any]) -> None:
        """How to convert rows whose columns the driver says are of these types."""
        self.told = tuple(driver_types)
        converts = [
            kind._cached_result_processor(dialect, told)  # noqa: SLF001 -- SQLAlchemy has it nowhere else
            for kind, told in zip(self.types, driver_types, strict=True)
        ]
        self.convert = _converter(converts) if any(converts) else None
        self.learned = True


UNKNOWN: Final = Plan("", Placeholders(), names=(), types=())
"""What stands for the plan of names that came for the first time."""


class Plans(dict[tuple[str, ...], Plan | None]):
    """One for each set of names: found at once in the order in which they came first, a little later in any other."""

    def __init__(self) -> None:
        super().__init__()
        self._of_sets: dict[frozenset[str], Plan | None] = {}

    def __missing__(self, given: tuple[str, ...]) -> Plan | None:
        return self._of_sets.get(frozenset(given), UNKNOWN)

    def keep(self, given: tuple[str, ...], plan: Plan | None) -> Plan | None:
        if len(self) >= MOST_PLANS:  # start anew: to know which one is used least would cost every use
            self.clear()
            self._of_sets.clear()
        self[given] = self._of_sets[frozenset(given)] = plan
        return plan


def _converter(converts: Sequence[Convert | None]) -> Callable[[Row], Row]:
    steps = [(place, step) for place, step in enumerate(converts) if step is not None]

    def convert(row: Row) -> Row:
        values = [*row]
        for place, step in steps:
            values[place] = step(values[place])
        return values

    return convert


def compile_plan(declared: Declared, dialect: Dialect, given: Sequence[str]) -> Plan | None:
    """None where only SQLAlchemy knows how to run it, such as an IN over a list of unknown length.

    Raises ConfigurationError for parameters that the statement does not have, or lacks.
    """
    _refuse_returning(declared, dialect)
    # A parameter of the statement's own may be called like a column; others that are, are values for the column.
    own = declared.bound
    keys = {declared.columns[name]: name for name in given if name in declared.columns and name not in own}
    compiled = _compiled(declared, dialect, list(keys))
    _check_parameters(declared, compiled, given, keys)
    placeholders = _placeholders(compiled, given, keys) if _understood(declared, compiled) else None
    if placeholders is None:
        return None
    types = [column.type for column in compiled._result_columns]  # noqa: SLF001 -- the one place that has them
    return Plan(compiled.string, placeholders, names=declared.names, types=types)


def _refuse_returning(declared: Declared, dialect: Dialect) -> None:
    if not declared.names or isinstance(declared.statement, Select):
        return
    kind = declared.statement.__visit_name__
    if not getattr(dialect, f"{kind}_returning"):
        raise ConfigurationError(
            f"{dialect.name} has no {kind.upper()} ... RETURNING. Leave `returning` out, call .changed(...), and select "
            "the rows in the same unit of work."
        )


def _compiled(declared: Declared, dialect: Dialect, keys: list[str]) -> SQLCompiler:
    selects = isinstance(declared.statement, Select)
    try:
        return declared.statement.compile(dialect=dialect, column_keys=None if selects else keys)
    except CompileError as error:
        raise ConfigurationError(f"This statement cannot be written for {dialect.name}: {error}") from error


def _check_parameters(declared: Declared, compiled: SQLCompiler, given: Sequence[str], keys: Mapping[str, str]) -> None:
    theirs = set(declared.columns.values()) - declared.bound - keys.keys()  # what the statement itself says of a column
    binds = [bind for bind in compiled.binds.values() if not bind.unique and bind.key not in theirs]
    known = {keys.get(bind.key, bind.key): bind for bind in binds}
    if strange := [name for name in given if name not in known]:
        names = sorted({*known, *declared.columns})
        raise ConfigurationError(
            f"The statement has no parameter '{strange[0]}'. It has: {', '.join(names) or 'none'}."
        )
    if lacking := [name for name, bind in known.items() if bind.required and name not in given]:
        raise ConfigurationError(f"The statement needs the parameter '{lacking[0]}'.")


def _understood(declared: Declared, compiled: SQLCompiler) -> bool:
    return (
        compiled.positional
        and not compiled.post_compile_params
        and not compiled.literal_execute_params
        and not compiled.escaped_bind_names
        and len(compiled._result_columns) == len(declared.names)  # noqa: SLF001 -- as above
        and TRANSLATED not in declared.statement.get_execution_options()
    )


def _placeholders(compiled: SQLCompiler, given: Sequence[str], keys: Mapping[str, str]) -> Placeholders | None:
    found = Placeholders()
    for name in compiled.positiontup or ():
        convert = compiled._bind_processors.get(name)  # noqa: SLF001 -- what SQLAlchemy itself applies
        if convert is not None and not callable(convert):  # one for each part of a composite value
            return None
        found.order.append((name, convert))
        if not _is_default(compiled, name):
            _add(found, name, compiled.binds[name], given, keys)
    columns = [(column, column.default) for column in compiled.insert_prefetch]
    columns += [(column, column.onupdate) for column in compiled.update_prefetch]
    return found if all(_add_default(found, column, default) for column, default in columns) else None


def _is_default(compiled: SQLCompiler, name: str) -> bool:
    return any(column.key == name for column in (*compiled.insert_prefetch, *compiled.update_prefetch))


def _add(
    found: Placeholders, name: str, bind: BindParameter[Any], given: Sequence[str], keys: Mapping[str, str]
) -> None:
    key = keys.get(bind.key, bind.key)
    if key in given:
        found.given[name] = key
    elif bind.callable is not None:
        found.computed[name] = bind.callable
    else:
        found.constants[name] = bind.value


def _add_default(found: Placeholders, column: Column[Any], default: Any) -> bool:
    """Whether it is one that needs nothing of the database."""
    if isinstance(default, ScalarElementColumnDefault):
        found.constants[column.key] = default.arg
    elif isinstance(default, CallableColumnDefault):
        found.defaults[column.key] = default.arg
    else:
        return False
    return True
