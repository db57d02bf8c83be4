"""What the models need and the database does not have: one query, without Alembic, since every start waits for it."""

from collections.abc import Iterable, Mapping

from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection

_COLUMNS = {
    "sqlite": "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type IN ('table', 'view')",
    "postgresql": "SELECT t.relname, c.attname FROM pg_attribute c JOIN pg_class t ON t.oid = c.attrelid "
    "WHERE c.attnum > 0 AND NOT c.attisdropped AND t.relkind IN ('r', 'p', 'f', 'v', 'm') AND pg_table_is_visible(t.oid)",
    "mysql": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()",
}
Columns = Mapping[str, frozenset[str]]


async def lacking(connection: AsyncConnection, metadata: Iterable[MetaData]) -> list[str]:
    """`table` or `table.column` for each thing that is not there, of the tables in the database's own schema."""
    return missing(await _columns(connection), metadata)


def missing(found: Columns, metadata: Iterable[MetaData]) -> list[str]:
    """The same of what was found; whether capitals differ is the database's business."""
    tables = [table for known in metadata for table in known.tables.values() if table.schema is None]
    lost: list[str] = []
    for table in tables:
        columns = found.get(table.name.casefold())
        if columns is None:
            lost.append(table.name)
        else:
            lost += (f"{table.name}.{column.name}" for column in table.columns if column.name.casefold() not in columns)
    return lost


async def _columns(connection: AsyncConnection) -> Columns:
    rows = await connection.execute(text(_COLUMNS[connection.dialect.name]))
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table.casefold(), set()).add(column.casefold())
    return {table: frozenset(columns) for table, columns in found.items()}
