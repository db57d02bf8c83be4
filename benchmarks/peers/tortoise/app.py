"""FastAPI and Tortoise ORM, joined by its own RegisterTortoise."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from tortoise import fields
from tortoise.contrib.fastapi import RegisterTortoise
from tortoise.models import Model

SCHEMES = {"postgresql": "asyncpg", "sqlite": "sqlite"}


class User(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    email = fields.CharField(max_length=255, unique=True)
    score = fields.IntField()
    active = fields.BooleanField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "users"


class UserCreate(BaseModel):
    name: str
    email: str
    score: int
    active: bool


class UserRead(UserCreate):
    model_config = ConfigDict(from_attributes=True)

    id: int
    created_at: datetime


def database_url() -> str:
    scheme, rest = os.environ["BENCH_URL"].split("://", 1)
    # Three slashes and a path from the root: Tortoise writes it with two.
    return f"{SCHEMES[scheme]}://{rest.removeprefix('/') if scheme == 'sqlite' else rest}"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with RegisterTortoise(app, db_url=database_url(), modules={"models": [__name__]}):
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int) -> User:
    user = await User.get_or_none(id=user_id)
    if user is None:
        raise HTTPException(status_code=404, detail="User not found")
    return user


@app.get("/users", response_model=list[UserRead])
async def list_users(after: int = 0) -> list[User]:
    return await User.filter(id__gt=after).order_by("id").limit(20)


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(new: UserCreate) -> User:
    return await User.create(**new.model_dump())
