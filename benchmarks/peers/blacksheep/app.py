"""BlackSheep with its own binders, pydantic for what comes in as it advises, dataclasses for what goes out, and orjson.

Its container cannot give parameters of a request to a dependency, so the handler takes them and awaits the steps.
"""

import json
import os
from pathlib import Path
from typing import Any

import orjson
from blacksheep import Application, FromHeader, FromJSON, get, post
from blacksheep.settings.json import json_settings
from peers.shapes.models import Order, Receipt, receipt
from peers.shapes.records import User, Videos, listing
from pydantic import BaseModel

USERS = json.loads(Path(os.environ["BENCH_USERS"]).read_text(encoding="utf-8"))


def written(content: Any) -> str:
    return orjson.dumps(content, default=BaseModel.model_dump).decode()


json_settings.use(loads=orjson.loads, dumps=written)

app = Application()


class Client(FromHeader[str]):
    name = "X-Client"


@get("/")
async def small() -> dict[str, Any]:
    return {"message": "Hello, World!"}


@get("/channels/{channel_id}/videos")
async def chain(channel_id: int, by: Client, limit: int = 20, offset: int = 0) -> Videos:
    return await listing(channel_id, by.value, limit, offset)


@post("/orders")
async def order(data: FromJSON[Order]) -> Receipt:
    return receipt(data.value)


@get("/users")
async def users() -> list[User]:
    return [User(**fields) for fields in USERS]
