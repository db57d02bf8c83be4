"""What the database holds, read past the app: with SQL of our own, on a connection of our own."""

import asyncio
import uuid
from typing import Any

from chaos.judge import Held, Move
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}
BALANCES = text("SELECT id, balance FROM wallets")
MOVES = text("SELECT reference, sender_id, recipient_id, amount FROM wallet_transfers")


def read(url: str, *, granted: int) -> Held:
    return asyncio.run(_read(url, granted))


def engine_of(url: str) -> AsyncEngine:
    parsed = make_url(url)
    return create_async_engine(parsed.set(drivername=DRIVERS[parsed.get_backend_name()]))


async def _read(url: str, granted: int) -> Held:
    engine = engine_of(url)
    try:
        async with engine.connect() as connection:
            balances = {plain(wallet): balance for wallet, balance in await connection.execute(BALANCES)}
            moves = [
                Move(plain(reference), source and plain(source), plain(target), amount)
                for reference, source, target, amount in await connection.execute(MOVES)
            ]
    finally:
        await engine.dispose()
    return Held(granted, balances, moves)


def plain(identifier: Any) -> str:
    """As our ledgers write it, however the database keeps it."""
    return str(uuid.UUID(str(identifier)))
