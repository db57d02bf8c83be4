"""What `leyden db make` writes for a search that has no index yet."""

from collections.abc import Sequence
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations.ops import MigrateOperation
from sqlalchemy import Connection

from leyden.data.search_indexes import SearchIndex

SEARCH_IMPORT = "from leyden.data import SearchIndex"


class CreateSearch(MigrateOperation):
    def __init__(self, index: SearchIndex) -> None:
        self.index = index

    def reverse(self) -> "DropSearch":
        return DropSearch(self.index)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("add_search", self.index)


class DropSearch(MigrateOperation):
    def __init__(self, index: SearchIndex) -> None:
        self.index = index


def lacking(connection: Connection, indexes: Sequence[SearchIndex]) -> list[SearchIndex]:
    """Those that the database has not, or has in part only."""
    return [index for index in indexes if not index.is_there(connection)]


@renderers.dispatch_for(CreateSearch)
def _write_creation(_: AutogenContext, operation: CreateSearch) -> str:
    return f"{operation.index}.create(op)"


@renderers.dispatch_for(DropSearch)
def _write_drop(_: AutogenContext, operation: DropSearch) -> str:
    return f"{operation.index}.drop(op)"
