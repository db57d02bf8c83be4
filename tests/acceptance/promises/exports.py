"""The app whose exports the acceptance tests read, break and stop reading."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import String, insert, select
from sqlalchemy.orm import Mapped, mapped_column
from starlette.responses import Response

from leyden import Battery, Resources, create_app, data, http
from leyden.data import Base, Database, DatabaseDep, DataSettings, stream_csv, stream_json_lines

ROWS = 60_000


class Line(Base):
    __tablename__ = "export_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(200))


class LineRead(BaseModel):
    id: int = Field(le=50_000)
    text: str


@asynccontextmanager
async def filled(resources: Resources) -> AsyncIterator[None]:
    async with resources[Database].writer.begin() as connection:
        await connection.run_sync(Line.__table__.create)  # type: ignore[attr-defined]  # a Table
        for first in range(1, ROWS, 10_000):
            rows: list[dict[str, Any]] = [{"id": first + n, "text": "x" * 150} for n in range(10_000)]
            await connection.execute(insert(Line), rows)
    yield


settings = DataSettings(url=os.environ["EXPORT_URL"], snapshot_pool_size=1, pool_timeout=0.5)
filling = Battery(name="filling", requires=("data",), lifespan=filled)
app = create_app([http.battery(http.HttpSettings()), data.battery(settings), filling])


@app.get("/whole")
async def whole(database: DatabaseDep) -> Response:
    return stream_csv(database, select(Line), filename="lines.csv")


@app.get("/broken")
async def broken(database: DatabaseDep) -> Response:
    return stream_json_lines(database, select(Line).order_by(Line.id), into=LineRead)


@app.get("/impatient")
async def impatient(database: DatabaseDep) -> Response:
    return stream_csv(database, select(Line), patience=1.0)
