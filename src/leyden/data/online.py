"""What of a change can be done while everybody goes on writing: in a revision of its own, outside of a transaction."""

from collections.abc import Iterator, Sequence

from alembic.operations.ops import (
    CreateCheckConstraintOp,
    CreateForeignKeyOp,
    CreateIndexOp,
    CreateTableOp,
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)

Validated = CreateForeignKeyOp | CreateCheckConstraintOp


def taken_out(upgrade: UpgradeOps) -> list[MigrateOperation]:
    """Take the indexes out of it, which are made concurrently, and its constraints, which are only validated later.

    Those of a table that it makes stay: nobody uses that table yet.
    """
    made = {operation.table_name for operation in upgrade.ops if isinstance(operation, CreateTableOp)}
    later: list[MigrateOperation] = []
    for table in upgrade.ops:
        if isinstance(table, ModifyTableOps) and table.table_name not in made:
            later += _later(table.ops)
            table.ops = [operation for operation in table.ops if not isinstance(operation, CreateIndexOp)]
    upgrade.ops = [operation for operation in upgrade.ops if not _is_empty(operation)]
    return later


def _later(operations: Sequence[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, CreateIndexOp):
            operation.kw["postgresql_concurrently"] = True
            yield operation
        elif isinstance(operation, Validated):
            operation.kw["postgresql_not_valid"] = True
            yield operation


def _is_empty(operation: MigrateOperation) -> bool:
    return isinstance(operation, ModifyTableOps) and operation.is_empty()


def upgrade_body(later: Sequence[MigrateOperation], rendered: Sequence[str]) -> str:
    """The code of the revision that does them; `rendered` is Alembic's code for each."""
    lines: list[str] = []
    for operation, code in zip(later, rendered, strict=True):
        if isinstance(operation, CreateIndexOp):
            # An index that failed stays behind, invalid and with its name: with this the revision can be run again.
            drop = f"op.drop_index(op.f('{operation.index_name}'), table_name='{operation.table_name}', "
            lines += [_ON_POSTGRESQL, f"    {drop}if_exists=True, postgresql_concurrently=True)", code]
        elif isinstance(operation, Validated):
            validate = f"ALTER TABLE {table_changed(operation)} VALIDATE CONSTRAINT {operation.constraint_name}"
            lines += [_ON_POSTGRESQL, f"    op.execute('{validate}')"]
    return _block(lines)


def downgrade_body(later: Sequence[MigrateOperation], rendered: Sequence[str]) -> str:
    """The code that takes the indexes away again; a constraint goes with the revision that added it."""
    found = [code for operation, code in zip(later, rendered, strict=True) if isinstance(operation, CreateIndexOp)]
    return _block(found) if found else "    pass"


_ON_POSTGRESQL = 'if op.get_context().dialect.name == "postgresql":'


def table_changed(operation: MigrateOperation) -> str:
    """The table that one of them is about."""
    return str(getattr(operation, "source_table", None) or getattr(operation, "table_name", None))


def _block(lines: Sequence[str]) -> str:
    inside = "\n".join(f"        {line}" for text in lines for line in text.splitlines())
    return f"    with op.get_context().autocommit_block():\n{inside}"
