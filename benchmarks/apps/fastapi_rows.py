"""FastAPI as its documentation has it; the environment says what is around the same endpoints.

BENCH_AROUND=cors adds FastAPI's own middleware for CORS, BENCH_AROUND=leyden everything that Leyden's http battery has
around a request, and with BENCH_TURBO=1 the routes are compiled. Nothing of Leyden is imported where it is not asked for.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, Header, Query
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import OAuth2PasswordBearer
from peers.shapes.models import Order, Page, Receipt, User, Videos, receipt, videos
from pydantic import BaseModel

ORIGIN = "https://app.example.com"
USERS: list[dict[str, Any]] = json.loads(Path(os.environ["BENCH_USERS"]).read_text(encoding="utf-8"))
AROUND = os.environ.get("BENCH_AROUND", "")

if AROUND == "leyden":
    from leyden import create_app, http

    app = create_app([http.battery(http.HttpSettings(cors_origins=(ORIGIN,)))])
else:
    app = FastAPI()
if AROUND == "cors":
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_methods=["*"])


class Number(BaseModel):
    number: int


class Name(BaseModel):
    name: str


@app.get("/", response_model=None)
async def small() -> dict[str, str]:
    return {"message": "Hello, World!"}


async def client(x_client: Annotated[str, Header()]) -> str:
    return x_client


async def page(
    by: Annotated[str, Depends(client)],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Page:
    return Page(client=by, limit=limit, offset=offset)


async def listing(channel_id: int, of: Annotated[Page, Depends(page)]) -> Videos:
    return videos(channel_id, of)


@app.get("/channels/{channel_id}/videos")
async def chain(found: Annotated[Videos, Depends(listing)]) -> Videos:
    return found


@app.post("/orders")
async def order(new: Order) -> Receipt:
    return receipt(new)


@app.get("/users", response_model=list[User])
async def users() -> list[dict[str, Any]]:
    return USERS


@app.get("/sync/{number}")
def in_a_thread(number: int) -> Number:
    return Number(number=number)


async def opened() -> AsyncIterator[list[int]]:
    held: list[int] = []
    yield held
    held.clear()


@app.get("/yield/{number}")
async def with_yield(number: int, held: Annotated[list[int], Depends(opened)]) -> Number:
    held.append(number)
    return Number(number=held[-1])


scheme = OAuth2PasswordBearer(tokenUrl="token")


async def caller(token: Annotated[str, Depends(scheme)]) -> Name:
    return Name(name=token.removeprefix("token-of-"))


@app.get("/me")
async def me(who: Annotated[Name, Depends(caller)]) -> Name:
    return who


@app.post("/sign-in")
async def sign_in(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> Name:
    return Name(name=username if password else "")


if os.environ.get("BENCH_TURBO"):
    from leyden.turbo import accelerate

    accelerate(app)
