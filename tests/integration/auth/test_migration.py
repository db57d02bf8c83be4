"""The tables the migration makes are the tables the models describe, on each database."""

from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect

from leyden.auth.migrations import m0001_accounts
from leyden.auth.models import AuthRefreshToken, AuthSession, User
from leyden.data import Database

if TYPE_CHECKING:
    from tests.integration.auth.conftest import Step

TABLES = {model.__tablename__ for model in (User, AuthSession, AuthRefreshToken)}


def ours() -> MetaData:
    metadata = MetaData(naming_convention=User.metadata.naming_convention)
    for table in User.metadata.sorted_tables:
        if table.name in TABLES:
            table.to_metadata(metadata)
    return metadata


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), ours()))


async def test_migration_and_models_agree(database: Database, migrated: None) -> None:
    async with database.writer.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_way_back_leaves_nothing_and_can_be_gone_again(
    database: Database, migrated: None, step: "Step"
) -> None:
    await step(m0001_accounts.downgrade)
    async with database.writer.connect() as connection:
        assert not TABLES & set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    await step(m0001_accounts.upgrade)
