"""A statement compiled once: its SQL, where its arguments go, and how its rows come back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Column, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault
from sqlalchemy.types import TypeEngine

from leyden.core import ConfigurationError

Row = Sequence[Any]
Convert = Callable[[Any], Any]
Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class Context:
    """What a column's default is told, as SQLAlchemy's own execution tells it."""

    execution_options: Mapping[str, Any]
    current_parameters: Mapping[str, Any]

    def get_current_parameters(self, *_: Any, **__: Any) -> Mapping[str, Any]:
        return self.current_parameters


@dataclass(frozen=True, slots=True)
class Slot:
    """One argument: a parameter of the caller, a column's default, or a value of the statement's own."""

    name: str
    given: bool
    convert: Convert | None
    default: Any = None
    value: Any = None
    compute: Callable[[], Any] | None = None


class Plan:
    """Runs on any connection of the dialect it was compiled for; the first one that runs it lets it `learn`."""

    __slots__ = ("_slots", "_straight", "convert", "learned", "names", "returns", "sql", "types", "writes")

    def __init__(
        self,
        sql: str,
        slots: Sequence[Slot],
        *,
        names: Sequence[str],
        types: Sequence[TypeEngine[Any]],
    ) -> None:
        self.sql: Final = sql
        self.names: Final = tuple(names)
        self.types: Final = tuple(types)
        self.returns: Final = bool(names)
        self.learned = False
        self.convert: Callable[[Row], Row] | None = None
        self._slots: Final = tuple(slots)
        plain = all(slot.given and slot.convert is None for slot in slots)
        self._straight: Final = tuple(slot.name for slot in slots) if plain else None

    def arguments(self, values: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Any, ...]:
        """In the order of the placeholders, as the driver wants them; `options` are what column defaults are told.

        Raises what a column type raises for a value it cannot take.
        """
        if self._straight is not None:
            return tuple([values[name] for name in self._straight])
        return tuple([_argument(slot, values, options) for slot in self._slots])

    def rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The driver's rows with the values that SQLAlchemy would have given."""
        convert = self.convert
        return rows if convert is None else [convert(row) for row in rows]

    def learn(self, dialect: Dialect, driver_types: Sequence[Any]) -> None:
        """How to convert rows whose columns the driver says are of these types."""
        converts = [
            kind._cached_result_processor(dialect, told)  # noqa: SLF001 -- SQLAlchemy has it nowhere else
            for kind, told in zip(self.types, driver_types, strict=True)
        ]
        self.convert = _converter(converts) if any(converts) else None
        self.learned = True


def _argument(slot: Slot, values: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    if slot.given:
        value = values[slot.name]
    elif slot.default is not None:
        value = slot.default(Context(options, values))
    elif slot.compute is not None:
        value = slot.compute()
    else:
        return slot.value
    return value if slot.convert is None else slot.convert(value)


def _converter(converts: Sequence[Convert | None]) -> Callable[[Row], Row]:
    steps = tuple(converts)

    def convert(row: Row) -> Row:
        return [value if step is None else step(value) for step, value in zip(steps, row, strict=True)]

    return convert


def compile_plan(statement: Statement, dialect: Dialect, given: Sequence[str], names: Sequence[str]) -> Plan | None:
    """None where only SQLAlchemy knows how to run it, such as an IN over a list of unknown length.

    Raises ConfigurationError for parameters that the statement does not have, or lacks.
    """
    compiled = _compiled(statement, dialect, given)
    _check_parameters(compiled, given)
    if not _understood(compiled, names):
        return None
    slots = _slots(compiled, given)
    if slots is None:
        return None
    return Plan(
        compiled.string,
        slots,
        names=names,
        types=[column.type for column in compiled._result_columns],  # noqa: SLF001 -- the one place that has them
    )


def _compiled(statement: Statement, dialect: Dialect, given: Sequence[str]) -> SQLCompiler:
    keys = None if isinstance(statement, Select) else list(given)
    try:
        return statement.compile(dialect=dialect, column_keys=keys)
    except CompileError as error:
        raise ConfigurationError(f"This statement cannot be written for {dialect.name}: {error}") from error


def _check_parameters(compiled: SQLCompiler, given: Sequence[str]) -> None:
    known = {bind.key: bind for bind in compiled.binds.values() if not bind.unique}
    if strange := [name for name in given if name not in known]:
        raise ConfigurationError(
            f"The statement has no parameter '{strange[0]}'. It has: {', '.join(sorted(known)) or 'none'}."
        )
    if lacking := [name for name, bind in known.items() if bind.required and name not in given]:
        raise ConfigurationError(f"The statement needs the parameter '{lacking[0]}'.")


def _understood(compiled: SQLCompiler, names: Sequence[str]) -> bool:
    return (
        compiled.positional
        and not compiled.post_compile_params
        and not compiled.literal_execute_params
        and not compiled.escaped_bind_names
        and len(compiled._result_columns) == len(names)  # noqa: SLF001 -- as above
    )


def _slots(compiled: SQLCompiler, given: Sequence[str]) -> list[Slot] | None:
    defaults = {column.key: column for column in (*compiled.insert_prefetch, *compiled.update_prefetch)}
    slots = []
    for name in compiled.positiontup or ():
        slot = _slot(name, compiled, given, defaults)
        if slot is None:
            return None
        slots.append(slot)
    return slots


def _slot(name: str, compiled: SQLCompiler, given: Sequence[str], defaults: Mapping[str, Column[Any]]) -> Slot | None:
    bind: BindParameter[Any] = compiled.binds[name]
    found = compiled._bind_processors.get(name)  # noqa: SLF001 -- what SQLAlchemy itself applies
    if found is not None and not callable(found):  # one for each part of a composite value
        return None
    convert: Convert | None = found
    key = bind.key if bind.key in given else name
    if key in given:
        return Slot(key, given=True, convert=convert)
    if (column := defaults.get(name)) is not None:
        return _default(column, convert, update=column in compiled.update_prefetch)
    if bind.callable is not None:
        return Slot(name, given=False, convert=convert, compute=bind.callable)
    value = bind.effective_value
    return Slot(name, given=False, convert=None, value=value if convert is None else convert(value))


def _default(column: Column[Any], convert: Convert | None, *, update: bool) -> Slot | None:
    default = column.onupdate if update else column.default
    if not isinstance(default, ScalarElementColumnDefault | CallableColumnDefault):
        return None
    if isinstance(default, ScalarElementColumnDefault):
        value = default.arg
        return Slot(column.key, given=False, convert=None, value=value if convert is None else convert(value))
    return Slot(column.key, given=False, convert=convert, default=default.arg)
