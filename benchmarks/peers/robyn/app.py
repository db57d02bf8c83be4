"""Robyn on its own server, with pydantic for what comes in, and what it writes by itself for what goes out.

Its dependencies take no parameters of a request, so the handler takes them and awaits the steps.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers.shapes.models import Order, Receipt, receipt
from peers.shapes.records import User, listing
from robyn import Headers, Robyn

USERS = json.loads(Path(os.environ["BENCH_USERS"]).read_text(encoding="utf-8"))

app = Robyn(__file__)


@app.get("/")
async def small() -> dict[str, Any]:
    return {"message": "Hello, World!"}


@app.get("/channels/:channel_id/videos")
async def chain(channel_id: int, headers: Headers, limit: int = 20, offset: int = 0) -> dict[str, Any]:
    return asdict(await listing(channel_id, headers.get("x-client"), limit, offset))


@app.post("/orders")
async def order(new: Order) -> Receipt:
    return receipt(new)


@app.get("/users")
async def users() -> list[User]:
    return [User(**fields) for fields in USERS]


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=int(sys.argv[1]), _check_port=False)
