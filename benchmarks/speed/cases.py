"""What is asked of the apps, row by row of the table, and what they all have to answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from load.servers import Server, WrongError

ORIGIN = "https://app.example.com"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
VARIETY = 100
USERS = [
    {
        "id": number,
        "name": f"User {number}",
        "email": f"user{number}@example.com",
        "score": number * 7919 % 1000,
        "active": number % 3 != 0,
    }
    for number in range(1, 101)
]


@dataclass(frozen=True)
class Request:
    """One request; without an answer it is one to refuse."""

    method: str
    path: str
    answer: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def wire(self) -> bytes:
        """As it is sent under load."""
        length = (("Content-Length", str(len(self.body))),) if self.body else ()
        lines = [f"{name}: {value}\r\n" for name, value in (("Host", "127.0.0.1"), *self.headers, *length)]
        return f"{self.method} {self.path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + self.body


@dataclass(frozen=True)
class Row:
    """A row of the table: requests that take turns, and some that whoever validates refuses."""

    name: str
    about: str
    requests: Sequence[Request]
    refused: Sequence[Request] = ()

    @property
    def wire(self) -> bytes:
        """All of them as requests.lua reads them."""
        return b"".join(request.wire + b"\0" for request in self.requests)

    def check(self, server: Server, *, validates: bool) -> None:
        """Raises WrongError with the first answer that is not what it should be."""
        for request in self.requests:
            answer = _asked(server, request)
            if answer != (200, request.answer):
                raise WrongError(f"{_said(server, request)} with {answer}, not {request.answer}")
        for request in self.refused if validates else ():
            answer = _asked(server, request)
            if not 400 <= answer[0] < 500:
                raise WrongError(f"{_said(server, request)} with {answer}, and should have refused it")


def _asked(server: Server, request: Request) -> tuple[int, Any]:
    return server.ask(request.method, request.path, request.body, dict(request.headers))


def _said(server: Server, request: Request) -> str:
    return f"{server.app.name} answered {request.method} {request.path} {request.body.decode()}"


def listing(number: int) -> Request:
    limit, offset, client = 10 + number % 5, number * 3, f"web-{number}"
    answer = {"client": client, "limit": limit, "offset": offset, "channel_id": number, "page": offset // limit + 1}
    path = f"/channels/{number}/videos?limit={limit}&offset={offset}"
    return Request("GET", path, answer, (("X-Client", client),))


def order(number: int) -> Request:
    address = {"street": f"Main Street {number}", "city": "Leiden"}
    customer = {"name": f"User {number}", "email": f"user{number}@example.com", "address": address}
    bought = [(line + number % 4, line + 0.25) for line in (1, 2, 3)]
    lines = [
        {"sku": f"A-{number}-{line}", "quantity": quantity, "price": price}
        for line, (quantity, price) in enumerate(bought)
    ]
    items, total = sum(quantity for quantity, _ in bought), sum(quantity * price for quantity, price in bought)
    answer = {"customer": customer, "lines": lines, "items": items, "total": total}
    sent = {"customer": customer, "lines": lines, "note": None}
    return Request("POST", "/orders", answer, (JSON,), _written(sent))


def sign_in(number: int) -> Request:
    form = {"username": f"User {number}", "password": f"secret & {number}"}
    return Request("POST", "/sign-in", {"name": form["username"]}, (FORM,), urlencode(form).encode())


def _written(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _broken_order() -> Request:
    whole = json.loads(order(1).body)
    whole["lines"][0]["quantity"] = "many"
    return Request("POST", "/orders", headers=(JSON,), body=_written(whole))


NUMBERS = range(1, VARIETY + 1)
HELLO = Request("GET", "/", {"message": "Hello, World!"})
CLIENT = (("X-Client", "web-1"),)

SMALL = Row("small", "Small JSON", [HELLO])
CHAIN = Row(
    "chain",
    "Parameters through three dependencies",
    [listing(number) for number in NUMBERS],
    [
        Request("GET", "/channels/1/videos?limit=many&offset=0", headers=CLIENT),
        Request("GET", "/channels/first/videos?limit=10&offset=0", headers=CLIENT),
    ],
)
POST = Row("post", "POST of a nested model", [order(number) for number in NUMBERS], [_broken_order()])
LIST = Row("list", "List of 100 typed rows", [Request("GET", "/users", USERS)])
TABLE = (SMALL, CHAIN, POST, LIST)

CORS = Row("cors", "Middleware for CORS", [Request("GET", "/", {"message": "Hello, World!"}, (("Origin", ORIGIN),))])
SYNC = Row("sync", "Endpoint in a thread", [Request("GET", f"/sync/{n}", {"number": n}) for n in NUMBERS])
YIELD = Row("yield", "Dependency with yield", [Request("GET", f"/yield/{n}", {"number": n}) for n in NUMBERS])
OAUTH2 = Row(
    "oauth2",
    "OAuth2 bearer",
    [Request("GET", "/me", {"name": f"ada{n}"}, (("Authorization", f"Bearer token-of-ada{n}"),)) for n in NUMBERS],
    [Request("GET", "/me")],
)
SIGN_IN = Row("form", "Form post", [sign_in(number) for number in NUMBERS])
FURTHER = (CORS, SYNC, YIELD, OAUTH2, SIGN_IN)
ROWS = (*TABLE, *FURTHER)
