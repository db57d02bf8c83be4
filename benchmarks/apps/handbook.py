"""FastAPI and SQLAlchemy as the tutorials join them: an engine, a session maker, and `get_db` as a dependency."""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime, String, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}

url = make_url(os.environ["BENCH_URL"])
engine = create_async_engine(url.set(drivername=DRIVERS[url.drivername]))
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)

app = FastAPI()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(255), unique=True)
    score: Mapped[int]
    active: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))


class UserCreate(BaseModel):
    name: str
    email: str
    score: int
    active: bool


class UserRead(UserCreate):
    model_config = ConfigDict(from_attributes=True)

    id: int
    created_at: datetime


async def get_db() -> AsyncIterator[AsyncSession]:
    async with SessionLocal() as session:
        yield session


DbDep = Annotated[AsyncSession, Depends(get_db)]


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, db: DbDep) -> User:
    result = await db.execute(select(User).where(User.id == user_id))
    user = result.scalar_one_or_none()
    if user is None:
        raise HTTPException(status_code=404, detail="User not found")
    return user


@app.get("/users", response_model=list[UserRead])
async def list_users(db: DbDep, after: int = 0) -> Sequence[User]:
    result = await db.execute(select(User).where(User.id > after).order_by(User.id).limit(20))
    return result.scalars().all()


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(new: UserCreate, db: DbDep) -> User:
    user = User(**new.model_dump())
    db.add(user)
    await db.commit()
    await db.refresh(user)
    return user
