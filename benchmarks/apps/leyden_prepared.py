"""Leyden's prepared statements: written in SQLAlchemy, compiled once, run straight on the driver."""

import os
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, bindparam, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from leyden import create_app, data
from leyden.core import NotFoundError
from leyden.data import Base, DatabaseDep, DataSettings, prepared

app = create_app([data.battery(DataSettings(url=os.environ["BENCH_URL"]))], turbo="BENCH_TURBO" in os.environ)


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(unique=True)
    score: Mapped[int]
    active: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class UserCreate(BaseModel):
    name: str
    email: str
    score: int
    active: bool


class UserRead(UserCreate):
    model_config = ConfigDict(from_attributes=True)

    id: int
    created_at: datetime


COLUMNS = (User.id, User.name, User.email, User.score, User.active, User.created_at)

find = prepared(select(*COLUMNS).where(User.id == bindparam("id")), into=UserRead)
following = prepared(
    select(*COLUMNS).where(User.id > bindparam("after")).order_by(User.id).limit(20),
    into=UserRead,
)
add = prepared(insert(User).returning(*COLUMNS), into=UserRead)


@app.get("/users/{user_id}")
async def read_user(user_id: int, database: DatabaseDep) -> UserRead:
    user = await find(database, id=user_id)
    if user is None:
        raise NotFoundError
    return user


@app.get("/users")
async def list_users(database: DatabaseDep, after: int = 0) -> list[UserRead]:
    return await following.all(database, after=after)


@app.post("/users", status_code=201)
async def create_user(new: UserCreate, database: DatabaseDep) -> UserRead | None:
    return await add(database, **new.model_dump())
