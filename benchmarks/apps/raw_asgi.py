"""The same answers from ASGI messages and json alone, with no framework and nothing validated: what a server leaves over."""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

USERS = json.loads(Path(os.environ["BENCH_USERS"]).read_text(encoding="utf-8"))


async def app(scope: Message, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path == "/":
        await answer(send, {"message": "Hello, World!"})
    elif path == "/users":
        await answer(send, USERS)
    elif path == "/orders":
        await answer(send, receipt(json.loads(await body(receive))))
    else:
        await answer(send, videos(path, scope))


def videos(path: str, scope: Message) -> dict[str, Any]:
    asked = dict(pair.split("=") for pair in scope["query_string"].decode().split("&"))
    client = next(value for name, value in scope["headers"] if name == b"x-client").decode()
    limit, offset = int(asked["limit"]), int(asked["offset"])
    channel = int(path.split("/")[2])
    return {"client": client, "limit": limit, "offset": offset, "channel_id": channel, "page": offset // limit + 1}


def receipt(order: dict[str, Any]) -> dict[str, Any]:
    lines = order["lines"]
    items = sum(line["quantity"] for line in lines)
    total = sum(line["quantity"] * line["price"] for line in lines)
    return {"customer": order["customer"], "lines": lines, "items": items, "total": total}


async def body(receive: Receive) -> bytes:
    message = await receive()
    pieces = message["body"]
    while message.get("more_body"):
        message = await receive()
        pieces += message["body"]
    return bytes(pieces)


async def answer(send: Send, content: Any) -> None:
    written = json.dumps(content, separators=(",", ":")).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(written)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": written})
