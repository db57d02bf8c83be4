"""FastAPI and SQLModel, with its own async session as a dependency."""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import DateTime, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}

url = make_url(os.environ["BENCH_URL"])
engine = create_async_engine(url.set(drivername=DRIVERS[url.drivername]))

app = FastAPI()


class UserCreate(SQLModel):
    name: str = Field(max_length=100)
    email: str = Field(max_length=255, unique=True)
    score: int
    active: bool


class User(UserCreate, table=True):
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True))


class UserRead(UserCreate):
    id: int
    created_at: datetime


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, session: SessionDep) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(status_code=404, detail="User not found")
    return user


@app.get("/users", response_model=list[UserRead])
async def list_users(session: SessionDep, after: int = 0) -> Sequence[User]:
    found = await session.exec(select(User).where(User.id > after).order_by(User.id).limit(20))
    return found.all()


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(new: UserCreate, session: SessionDep) -> User:
    user = User.model_validate(new)
    session.add(user)
    await session.commit()
    await session.refresh(user)
    return user
