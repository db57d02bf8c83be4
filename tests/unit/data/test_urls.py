import importlib.util
from typing import Any

import pytest

from leyden.core import ConfigurationError
from leyden.data import Database, DataSettings, battery
from leyden.data import urls as module
from leyden.data.backend import Use
from leyden.data.urls import KINDS, backend_for, parse, shown


@pytest.mark.parametrize(
    ("url", "dialect", "driver"),
    [
        ("sqlite:///shop.db", "sqlite", "aiosqlite"),
        ("sqlite://", "sqlite", "aiosqlite"),
        ("postgresql://ada@host/shop", "postgresql", "asyncpg"),
        ("postgres://ada@host/shop", "postgresql", "asyncpg"),
        ("postgresql+psycopg://ada@host/shop", "postgresql", "psycopg"),
        ("mysql://ada@host/shop", "mysql", "asyncmy"),
        ("mariadb://ada@host/shop", "mysql", "asyncmy"),
        ("  mysql+asyncmy://ada@host/shop\n", "mysql", "asyncmy"),
    ],
)
def test_each_kind_of_url_finds_its_dialect_and_driver(url: str, dialect: str, driver: str) -> None:
    database = Database(DataSettings(url=url))
    assert (database.dialect, database.writer.dialect.driver) == (dialect, driver)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "is empty"),
        ("shop.db", "has no scheme"),
        ("postgresql:/ada:s3cret@host", "cannot be read"),
        ("ada:s3cret@host/shop", "has no scheme"),
        ("oracle://ada:s3cret@host/shop", "starts with 'oracle', which Leyden does not know"),
        ("postgresql+psycopg2://ada:s3cret@host/shop", "Write postgresql+asyncpg:// or postgresql+psycopg://"),
        ("mysql+pymysql://ada:s3cret@host/shop", "Write mysql+asyncmy://, or just mysql://"),
        ("postgresql://ada:s3cret@host", "names no database"),
        ("postgresql://ada:s3cret@host:port/shop", "cannot be read"),
        ("sqlite://shop.db", "two slashes where a file needs three"),
        ("sqlite:///file:shop?mode=memory&cache=shared&uri=true", "Write sqlite:// for a database in memory"),
        ("sqlite:///file::memory:?cache=shared&uri=true", "Write sqlite:// for a database in memory"),
        ("sqlite:///file:/shop?vfs=memdb&uri=true", "Write sqlite:// for a database in memory"),
        ("postgresql://ada:x@s3cret@host/shop", "write @ in the password as %40"),
        ("mysql://ada:x@s3cret/y@host/shop", "write @ in the password as %40"),
    ],
)
def test_a_bad_url_is_refused_in_one_sentence_without_the_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        battery(DataSettings(url=url))
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("scheme", "extra"), [("postgresql", "postgres"), ("postgresql+psycopg", "psycopg"), ("mysql", "mysql")]
)
def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, scheme: str, extra: str
) -> None:
    def nothing(name: str, package: Any = None) -> None: ...

    monkeypatch.setattr(module, "find_spec", nothing)
    with pytest.raises(ConfigurationError) as refused:
        battery(DataSettings(url=f"{scheme}://ada:s3cret@host/shop"))
    assert f"pip install 'leyden[{extra}]'" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_every_kind_of_url_has_a_driver_that_is_a_dependency() -> None:
    assert all(importlib.util.find_spec(kind.module) for kind in KINDS.values())


def test_a_url_for_people_has_neither_password_nor_options() -> None:
    settings = DataSettings(url="postgresql://ada:s3cret@host:5433/shop?password=s3cret&sslmode=require")
    assert shown(parse(settings)) == "postgresql://ada:***@host:5433/shop"
    assert "s3cret" not in repr(Database(settings)) + repr(settings)


def test_a_user_may_have_an_at_sign_and_a_file_too() -> None:
    assert parse(DataSettings(url="postgresql://ada@team:x%40y@host/shop")).password == "x@y"
    assert parse(DataSettings(url="sqlite:///people@home/shop.db")).database == "people@home/shop.db"


def test_the_name_that_hosting_companies_give_to_tls_is_understood() -> None:
    backend = backend_for(DataSettings(url="postgresql://ada@host/shop?sslmode=require"))
    writer = backend.engine(Use.WRITE, 1)
    assert dict(writer.url.query) == {"ssl": "require"}


def test_an_app_is_made_without_a_connection_or_a_folder(tmp_path: Any) -> None:
    made = battery(DataSettings(url=f"sqlite:///{tmp_path}/new/shop.db"))
    assert made.name == "data"
    assert made.provides is Database
    assert not (tmp_path / "new").exists()
