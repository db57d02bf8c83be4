import uuid

from leyden.data import Model
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

MOST = 2**53 - 1
"""The largest amount, in minor units: what every JSON parser reads exactly."""

CURRENCY = "EUR"


class Wallet(Model):
    """What one user has, in the smallest unit of the currency: cents, never a float."""

    __tablename__ = "wallets"
    # The conditions of the updates keep to this; the constraint stands behind whoever forgets one.
    __table_args__ = (CheckConstraint(f"balance BETWEEN 0 AND {MOST}", name="balance_possible"),)

    # A ledger outlives the accounts in it.
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), unique=True)
    balance: Mapped[int] = mapped_column(BigInteger, default=0)
    currency: Mapped[str] = mapped_column(String(3), default=CURRENCY)


class Transfer(Model):
    """One row of the ledger, never changed; without a sender it is money that came in from outside."""

    __tablename__ = "wallet_transfers"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        UniqueConstraint("sender_id", "reference"),
        Index("ix_wallet_transfers_sender_id_created_at", "sender_id", "created_at"),
        Index("ix_wallet_transfers_recipient_id_created_at", "recipient_id", "created_at"),
    )

    reference: Mapped[uuid.UUID]
    sender_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("wallets.id"))
    recipient_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallets.id"))
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
