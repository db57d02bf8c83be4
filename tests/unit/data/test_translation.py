import inspect
import sqlite3
import tomllib
from pathlib import Path

import pytest
import sqlalchemy.exc
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

import leyden.data
from leyden.core import LeydenError
from leyden.data import DatabaseBusyError, DatabaseDownError, DataSettings, InvalidValueError, errors
from leyden.data.backend import Broken, Trouble
from leyden.data.backends import mariadb, postgresql, sqlite
from leyden.data.translation import MESSAGES, TROUBLES, translate, translated
from leyden.data.urls import backend_for

POSTGRESQL = backend_for(DataSettings(url="postgresql://host/shop"))
MARIADB = backend_for(DataSettings(url="mysql://host/shop"))
SQLITE = backend_for(DataSettings(url="sqlite://"))


class DriverError(Exception):
    """What a driver raises, as far as we look at it."""

    def __init__(self, *args: object, **told: object) -> None:
        super().__init__(*args)
        vars(self).update(told)


def wrapped(error: Exception, *, lost: bool = False) -> DBAPIError:
    return OperationalError("SELECT 1", None, error, connection_invalidated=lost)


def test_every_trouble_and_every_broken_constraint_has_an_answer() -> None:
    assert set(TROUBLES) == set(Trouble)
    assert set(MESSAGES) == set(Broken)
    assert {error.status for error in TROUBLES.values()} == {422, 503}


@pytest.mark.parametrize("module", [postgresql, mariadb, sqlite])
def test_every_code_of_a_table_is_translated(module: object) -> None:
    backend = {"postgresql": POSTGRESQL, "mariadb": MARIADB, "sqlite": SQLITE}[str(module.__name__).rpartition(".")[2]]  # type: ignore[attr-defined]  # a module has a name
    for code, trouble in module.TROUBLES.items():  # type: ignore[attr-defined]  # as each of them
        told = DriverError(code, "said", sqlstate=code if len(str(code)) == 5 else f"{code}006", sqlite_errorcode=code)
        found = translate(wrapped(told), backend)
        assert type(found) is TROUBLES[trouble], code
        if found.status == 503:
            assert found.headers == {"Retry-After": "1"}


def test_every_kind_of_driver_error_is_looked_at() -> None:
    kinds = [kind for _, kind in inspect.getmembers(sqlalchemy.exc, inspect.isclass) if issubclass(kind, DBAPIError)]
    assert len(kinds) > 7
    for kind in kinds:
        error = kind("SELECT 1", None, DriverError("database is locked", sqlite_errorcode=sqlite3.SQLITE_BUSY))
        assert isinstance(translate(error, SQLITE), DatabaseBusyError)


def test_a_full_pool_is_busy_and_a_lost_connection_is_down() -> None:
    assert isinstance(translate(PoolTimeoutError("limit reached"), SQLITE), DatabaseBusyError)
    assert isinstance(translate(wrapped(DriverError("gone"), lost=True), POSTGRESQL), DatabaseDownError)


def test_a_row_of_another_version_is_a_conflict_that_says_so() -> None:
    found = translate(
        StaleDataError("UPDATE statement on table 't' expected to update 1 row(s); 0 were matched."), SQLITE
    )
    assert isinstance(found, errors.StaleError)
    assert (found.status, found.code) == (409, "stale")


@pytest.mark.parametrize(
    "said",
    [
        "invalid input for query argument $1: 99 (value out of int32 range)",
        "PostgreSQL text fields cannot contain NUL (0x00) bytes",
    ],
)
def test_what_the_postgresql_drivers_refuse_themselves_is_the_callers_error(said: str) -> None:
    assert isinstance(translate(wrapped(DriverError(said, sqlstate="22000")), POSTGRESQL), InvalidValueError)


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        (SQLITE, DriverError("no such table: x", sqlite_errorcode=sqlite3.SQLITE_ERROR)),
        (SQLITE, DriverError("attempt to write a readonly database", sqlite_errorcode=sqlite3.SQLITE_READONLY)),
        (POSTGRESQL, DriverError("relation does not exist", sqlstate="42P01")),
        (POSTGRESQL, DriverError("invalid input: expected str, got int", sqlstate="22000")),
        (MARIADB, DriverError(1146, "Table 'x' doesn't exist")),
        (MARIADB, DriverError("no code at all")),
    ],
)
def test_a_bug_stays_what_it_is(backend: object, told: Exception) -> None:
    error = wrapped(told)
    with pytest.raises(OperationalError) as raised, translated(backend):  # type: ignore[arg-type]  # one of the three
        raise error
    assert raised.value is error


def test_the_error_behind_it_is_kept_and_shows_no_values() -> None:
    told = DriverError("UNIQUE constraint failed: t.email", sqlite_errorcode=sqlite3.SQLITE_CONSTRAINT_UNIQUE)
    error = IntegrityError("INSERT INTO t VALUES (?)", ("s3cret",), told, hide_parameters=True)
    with pytest.raises(errors.ConflictError) as raised, translated(SQLITE):
        raise error
    assert raised.value.__cause__ is error
    assert "s3cret" not in str(error)
    assert [field.field for field in raised.value.fields] == ["email"]


def test_the_one_error_of_a_task_group_is_translated_as_if_there_were_no_group() -> None:
    error = wrapped(DriverError("database is locked", sqlite_errorcode=sqlite3.SQLITE_BUSY))
    group = ExceptionGroup("tasks", [ExceptionGroup("more tasks", [error])])
    with pytest.raises(DatabaseBusyError) as raised, translated(SQLITE):
        raise group
    assert raised.value.__cause__ is group


@pytest.mark.parametrize(
    "errors",
    [
        [LookupError()],
        [wrapped(DriverError("no such table: x", sqlite_errorcode=sqlite3.SQLITE_ERROR))],
        [wrapped(DriverError("locked", sqlite_errorcode=sqlite3.SQLITE_BUSY)), LookupError()],
    ],
)
def test_a_task_group_that_says_something_else_leaves_as_it_is(errors: list[Exception]) -> None:
    group = ExceptionGroup("tasks", errors)
    with pytest.raises(ExceptionGroup) as raised, translated(SQLITE):
        raise group
    assert raised.value is group


@pytest.mark.parametrize(
    ("backend", "told", "code", "columns"),
    [
        (SQLITE, DriverError("UNIQUE constraint failed: t.a, t.b", sqlite_errorcode=2067), "unique", ["a", "b"]),
        (SQLITE, DriverError("UNIQUE constraint failed: index 'ux'", sqlite_errorcode=2067), "unique", []),
        (SQLITE, DriverError("FOREIGN KEY constraint failed", sqlite_errorcode=787), "foreign_key", []),
        (MARIADB, DriverError(1048, "Column 'a' cannot be null"), "not_null", ["a"]),
        (MARIADB, DriverError(1364, "Field 'a' doesn't have a default value"), "not_null", ["a"]),
        (MARIADB, DriverError(1062, "Duplicate entry 'x' for key 'unknown'"), "unique", []),
        (POSTGRESQL, DriverError("x", sqlstate="23505", diag=None), "unique", []),
    ],
)
def test_each_databases_way_of_naming_columns_is_read(
    backend: object, told: Exception, code: str, columns: list[str]
) -> None:
    found = translate(wrapped(told), backend)  # type: ignore[arg-type]  # one of the three
    assert isinstance(found, errors.ConflictError)
    assert [field.field for field in found.fields] == columns
    assert {field.code for field in found.fields} <= {code}


def test_every_error_has_its_words_in_the_catalogue() -> None:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LeydenError)]
    codes = {kind.code for kind in classes if kind.__module__ == errors.__name__}
    folder = Path(leyden.data.__file__).parent / "locales"
    words = tomllib.loads((folder / "zh.toml").read_text(encoding="utf-8"))
    listings = {"unknown_parameter", "unknown_sort", "repeated_sort"}
    assert set(words.pop("fields")) == {kind.value for kind in Broken} | listings
    assert set(words) == codes
