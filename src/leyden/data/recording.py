"""What a revision would do, told by its own functions with no database behind them, as `alembic upgrade --sql` calls them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

from alembic.operations import BatchOperations, Operations
from alembic.operations.batch import BatchOperationsImpl
from alembic.operations.ops import CreateTableOp, MigrateOperation
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Dialect


@dataclass(frozen=True, slots=True)
class Recorded:
    """The operations of a revision; not `whole` where its code wanted an answer from the database and got none."""

    operations: tuple[MigrateOperation, ...]
    whole: bool = True


def recorded(script: Script, dialect: Dialect) -> Recorded:
    """The operations of the revision's upgrade. Not for two at once: `alembic.op` is one for the process."""
    recorder = _Recorder(dialect)
    recorder._install_proxy()  # noqa: SLF001 -- what Operations.context does, for a class of its own
    try:
        script.module.upgrade()
    except Exception:  # noqa: BLE001 -- the user's code without its database: anything may come out of it
        return Recorded(tuple(recorder.seen), whole=False)
    finally:
        recorder._remove_proxy()  # noqa: SLF001 -- the same
    return Recorded(tuple(recorder.seen))


class _Recorder(Operations):
    """`alembic.op` that runs nothing."""

    def __init__(self, dialect: Dialect) -> None:
        options = {"as_sql": True, "output_buffer": StringIO()}
        super().__init__(MigrationContext.configure(dialect=dialect, opts=options))
        self.seen: list[MigrateOperation] = []

    def invoke(self, operation: MigrateOperation) -> Any:
        self.seen.append(operation)
        return operation.to_table(self.migration_context) if isinstance(operation, CreateTableOp) else None

    @contextmanager
    def batch_alter_table(  # type: ignore[override]  # how a batch is run is of no interest
        self, table_name: str, schema: str | None = None, **_: Any
    ) -> Iterator[BatchOperations]:
        yield _Batch(self, _batch(self, table_name, schema, **_AS_EVER))


class _Batch(BatchOperations):
    def __init__(self, recorder: _Recorder, impl: BatchOperationsImpl) -> None:
        super().__init__(recorder.migration_context, impl=impl)
        self._recorder = recorder

    def invoke(self, operation: MigrateOperation) -> Any:
        return self._recorder.invoke(operation)


_batch: Any = BatchOperationsImpl  # which has no annotations
_AS_EVER: dict[str, Any] = {
    "recreate": "auto",
    "copy_from": None,
    "table_args": (),
    "table_kwargs": {},
    "reflect_args": (),
    "reflect_kwargs": {},
    "naming_convention": None,
    "partial_reordering": None,
}
"""How a batch would be run; none here ever is."""

# Alembic looks up by class what to put into the module `alembic.op`.
Operations._setups[_Recorder] = Operations._setups[Operations]  # noqa: SLF001 -- as above
