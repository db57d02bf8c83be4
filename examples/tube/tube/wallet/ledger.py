"""Money on its way: wallets change by expressions, in the order of their keys, and each time the ledger gets a row."""

import uuid

from leyden.auth import User
from leyden.core import FieldError
from leyden.data import ConflictError, Database, get_or_create, prepared, uuid7
from sqlalchemy import ColumnElement, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tube.wallet.errors import InsufficientFundsError, OwnWalletError, ReferenceUsedError, UnknownWalletError
from tube.wallet.models import Transfer, Wallet
from tube.wallet.schemas import TransferCreate, WalletRead

find_wallet = prepared(
    select(Wallet.id, Wallet.balance, Wallet.currency).where(Wallet.user_id == bindparam("user_id")), into=WalletRead
)
find_transfer = prepared(
    select(Transfer.id).where(
        Transfer.sender_id == bindparam("sender_id"), Transfer.reference == bindparam("reference")
    )
)
# The database calculates, and says by the number of rows whether there was enough: nothing can come in between.
move = prepared(
    update(Wallet)
    .where(
        Wallet.id == bindparam("wallet_id"),
        Wallet.currency == bindparam("in_currency"),
        Wallet.balance >= bindparam("least"),
    )
    .values(balance=Wallet.balance + bindparam("by"))
)


async def wallet_of(database: Database, user_id: uuid.UUID) -> WalletRead:
    """Everybody has one: it is made when it is first asked for."""
    found = await find_wallet(database, user_id=user_id)
    return await database.transaction(lambda session: _open(session, user_id)) if found is None else found


async def _open(session: AsyncSession, user_id: uuid.UUID) -> WalletRead:
    wallet, _ = await get_or_create(session, Wallet, key={"user_id": user_id})
    return WalletRead.model_validate(wallet)


async def send(database: Database, sender: User, order: TransferCreate) -> Transfer:
    """Move money from the sender's wallet to another one. Raises what is in errors.py, and then nothing has moved."""
    wallet = await wallet_of(database, sender.id)
    if order.to == wallet.id:
        raise OwnWalletError(fields=[FieldError("body.to", OwnWalletError.code, OwnWalletError.message())])
    try:
        return await database.transaction(lambda session: _transfer(session, wallet, order))
    except (ConflictError, InsufficientFundsError, UnknownWalletError) as error:
        # Who repeats a transfer is to hear that it was made, also where it has emptied the wallet.
        if await find_transfer(database, sender_id=wallet.id, reference=order.reference):
            raise ReferenceUsedError(
                fields=[FieldError("body.reference", "unique", "This is taken already.")]
            ) from error
        raise


async def _transfer(session: AsyncSession, wallet: WalletRead, order: TransferCreate) -> Transfer:
    moves = {wallet.id: -order.amount, order.to: order.amount}
    moved = {}
    # An update locks its row. Who takes locks in one order cannot wait for somebody who waits for him.
    for key, amount in sorted(moves.items()):
        moved[key] = await move.changed(
            session, wallet_id=key, in_currency=wallet.currency, least=max(0, -amount), by=amount
        )
    if not moved[order.to]:
        raise UnknownWalletError
    if not moved[wallet.id]:
        raise InsufficientFundsError
    made = order.model_dump(include={"amount", "reference"})
    transfer = Transfer(sender_id=wallet.id, recipient_id=order.to, currency=wallet.currency, **made)
    session.add(transfer)
    await session.flush()
    return transfer


async def grant(session: AsyncSession, user_id: uuid.UUID, amount: int) -> WalletRead:
    """Money from outside, as a row of the ledger without a sender; returns the wallet as it is then."""
    wallet = await _open(session, user_id)
    await move.changed(session, wallet_id=wallet.id, in_currency=wallet.currency, least=0, by=amount)
    session.add(Transfer(recipient_id=wallet.id, amount=amount, currency=wallet.currency, reference=uuid7()))
    return await find_wallet(session, user_id=user_id) or wallet


def in_ledger_of(wallet: WalletRead) -> ColumnElement[bool]:
    """What came into this wallet, and what went out."""
    return or_(Transfer.sender_id == wallet.id, Transfer.recipient_id == wallet.id)
