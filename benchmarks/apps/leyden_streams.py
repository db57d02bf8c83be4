"""The same rows as JSON Lines, through a model and without one, and as CSV."""

import os
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel
from sqlalchemy import Numeric, String, select
from sqlalchemy.orm import Mapped, mapped_column
from starlette.responses import Response

from leyden import create_app, data, http
from leyden.data import Base, DatabaseDep, DataSettings, Timestamp, stream_csv, stream_json_lines

app = create_app(
    [http.battery(http.HttpSettings()), data.battery(DataSettings(url=os.environ["BENCH_URL"]))],
)


class Video(Base):
    __tablename__ = "videos"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    views: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    published: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Timestamp())


class VideoRead(BaseModel):
    id: int
    title: str
    views: int
    price: Decimal
    published: bool
    created_at: datetime


@app.get("/ready")
async def ready() -> None:
    return None


@app.get("/json")
async def json(database: DatabaseDep) -> Response:
    return stream_json_lines(database, select(Video), into=VideoRead, filename="videos.jsonl")


@app.get("/columns")
async def columns(database: DatabaseDep) -> Response:
    return stream_json_lines(database, select(Video), filename="videos.jsonl")


@app.get("/csv")
async def csv(database: DatabaseDep) -> Response:
    return stream_csv(database, select(Video), filename="videos.csv")
