"""Endpoints that hold a session while something else takes long, and one that only reads."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Query, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Mapped, mapped_column

from leyden import create_app, data, http
from leyden.data import Base, DatabaseDep, DataSettings, PoolStatus, ReaderDep, SessionDep, prepared
from leyden.http import HttpSettings


class Item(Base):
    __tablename__ = "promise_items"

    id: Mapped[int] = mapped_column(primary_key=True)


find = prepared(select(Item.id).where(Item.id == bindparam("id")))
Seconds = Annotated[float, Query(ge=0, le=60)]

app: FastAPI = create_app(
    [
        http.battery(HttpSettings()),
        data.battery(DataSettings(url=os.environ["PROMISE_URL"], pool_size=5, pool_timeout=1.0)),
    ]
)


@app.post("/items")
async def make(database: DatabaseDep) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda sync: Base.metadata.create_all(sync, tables=[Base.metadata.tables[_NAME]]))
    async with database.session() as session:
        session.add(Item(id=1))


_NAME = "promise_items"


@app.get("/read")
async def read(session: ReaderDep) -> int | None:
    return await session.scalar(select(Item.id))


@app.get("/prepared")
async def straight(database: DatabaseDep) -> int | None:
    return await find(database, id=1)


@app.get("/outbound")
async def call_somebody(session: ReaderDep, database: DatabaseDep, seconds: Seconds) -> int | None:
    """As if another service took that long to answer, between two reads."""
    await session.scalar(select(Item.id))
    await find(database, id=1)
    await asyncio.sleep(seconds)
    return await session.scalar(select(Item.id))


@app.get("/outbound-after-commit")
async def write_and_call(session: SessionDep, seconds: Seconds) -> int | None:
    await session.execute(text("UPDATE promise_items SET id = id"))
    await session.commit()
    await asyncio.sleep(seconds)
    return 1


@app.get("/streamed")
async def stream(session: ReaderDep, seconds: Seconds) -> StreamingResponse:
    await session.scalar(select(Item.id))

    async def body() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x"
            await asyncio.sleep(seconds / 10)

    return StreamingResponse(body())


@app.get("/hold")
async def hold(session: SessionDep, seconds: Seconds) -> None:
    """A unit of work keeps its connection to its end."""
    await session.execute(text("SELECT 1"))
    await asyncio.sleep(seconds)


@app.post("/change")
async def change(session: SessionDep, seconds: Seconds = 0) -> None:
    await session.execute(text("UPDATE promise_items SET id = id"))
    await asyncio.sleep(seconds)


@app.get("/slow")
async def slow(session: ReaderDep) -> None:
    statement = {"postgresql": "SELECT pg_sleep(0.1)", "mysql": "SELECT SLEEP(0.1)"}.get(
        session.get_bind().dialect.name
    )
    await session.execute(text(statement or _COUNT))


_COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT max(i) FROM n"


@app.websocket("/socket")
async def socket(websocket: WebSocket, database: DatabaseDep) -> None:
    await websocket.accept()
    async with database.reader() as session:
        await session.scalar(select(Item.id))
    await websocket.send_text("ready")
    await websocket.receive_text()


@app.get("/pools")
async def pools(database: DatabaseDep) -> dict[str, PoolStatus]:
    return database.pools
