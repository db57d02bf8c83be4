"""Leyden's session: a reader for what reads, a unit of work for what writes."""

import os
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from leyden import create_app, data
from leyden.data import Base, DataSettings, ReaderDep, SessionDep, get_or_404

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


@app.get("/users/{user_id}")
async def read_user(user_id: int, session: ReaderDep) -> UserRead:
    return UserRead.model_validate(await get_or_404(session, User, user_id))


@app.get("/users")
async def list_users(session: ReaderDep, after: int = 0) -> list[UserRead]:
    found = await session.scalars(select(User).where(User.id > after).order_by(User.id).limit(20))
    return [UserRead.model_validate(user) for user in found]


@app.post("/users", status_code=201)
async def create_user(new: UserCreate, session: SessionDep) -> UserRead:
    user = User(**new.model_dump())
    session.add(user)
    await session.flush()
    return UserRead.model_validate(user)
