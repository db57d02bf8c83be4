"""Wallets."""

import sqlalchemy as sa
from alembic import op
from leyden.data import Timestamp

revision, down_revision = "0003_d465a1", "0002_8ceea4"


def upgrade() -> None:
    op.create_table(
        "wallets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.CheckConstraint("balance BETWEEN 0 AND 9007199254740991", name=op.f("ck_wallets_balance_possible")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_wallets_user_id_users"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", name=op.f("uq_wallets_user_id")),
    )
    op.create_table(
        "wallet_transfers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("sender_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_wallet_transfers_amount_positive")),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["wallets.id"], name=op.f("fk_wallet_transfers_recipient_id_wallets")
        ),
        sa.ForeignKeyConstraint(["sender_id"], ["wallets.id"], name=op.f("fk_wallet_transfers_sender_id_wallets")),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sender_id", "reference", name=op.f("uq_wallet_transfers_sender_id_reference")),
    )
    with op.batch_alter_table("wallet_transfers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_wallet_transfers_recipient_id_created_at", ["recipient_id", "created_at"], unique=False
        )
        batch_op.create_index("ix_wallet_transfers_sender_id_created_at", ["sender_id", "created_at"], unique=False)


def downgrade() -> None:
    op.drop_table("wallet_transfers")
    op.drop_table("wallets")
