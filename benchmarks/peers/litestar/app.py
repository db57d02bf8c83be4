"""Litestar with structs of msgspec, the fastest of what it takes for models, and its own dependencies."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Litestar, get, post
from litestar.di import Provide
from litestar.params import Parameter
from peers.shapes.structs import Order, Page, Receipt, User, Videos, receipt, videos

USERS = json.loads(Path(os.environ["BENCH_USERS"]).read_text(encoding="utf-8"))


@get("/")
async def small() -> dict[str, Any]:
    return {"message": "Hello, World!"}


async def provide_client(x_client: Annotated[str, Parameter(header="X-Client")]) -> str:
    return x_client


async def provide_page(
    client: str,
    limit: Annotated[int, Parameter(ge=1, le=100)] = 20,
    offset: Annotated[int, Parameter(ge=0)] = 0,
) -> Page:
    return Page(client=client, limit=limit, offset=offset)


async def provide_listing(channel_id: int, page: Page) -> Videos:
    return videos(channel_id, page)


@get(
    "/channels/{channel_id:int}/videos",
    dependencies={
        "client": Provide(provide_client),
        "page": Provide(provide_page),
        "listing": Provide(provide_listing),
    },
)
async def chain(listing: Videos) -> Videos:
    return listing


@post("/orders", status_code=200)
async def order(data: Order) -> Receipt:
    return receipt(data)


@get("/users")
async def users() -> list[User]:
    return msgspec.convert(USERS, list[User])


app = Litestar([small, chain, order, users])
