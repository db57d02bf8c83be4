"""An app on its own copy of the rows: whether it answers what it should, and how much it has acknowledged."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from load import wrk
from load.apps import App
from load.rows import ROWS, row
from load.servers import Server, WrongError


@dataclass
class Store:
    """A running app and where its rows are; `acknowledged` counts the inserts it answered with 201."""

    server: Server
    url: str
    acknowledged: int = 0
    cut: int = 0
    nonces: Iterator[str] = field(default_factory=lambda: iter(lambda: secrets.token_hex(4), ""))

    @property
    def app(self) -> App:
        return self.server.app

    def check(self) -> None:
        """Rows, a page, an insert and its row are what they should be. Raises WrongError."""
        for number in (1, 2, 3, ROWS // 2, ROWS):
            self._expect(f"/users/{number}", 200, row(number))
        for after in (0, ROWS // 2, ROWS - 20):
            self._expect(f"/users?after={after}", 200, [row(after + place) for place in range(1, 21)])
        self._expect("/users/1000000000", 404, None)
        new = {"name": "Ada", "email": f"{next(self.nonces)}@check.example", "score": -7, "active": True}
        status, made = self.server.ask("POST", "/users", json.dumps(new).encode(), {"Content-Type": "application/json"})
        self.acknowledged += status == 201
        if status != 201 or {**plain(made), **new} != plain(made) or made["id"] <= ROWS:
            raise WrongError(f"{self.app.name} answered POST /users of {new} with {status} {made}")
        if abs((plain(made)["created_at"] - datetime.now(UTC)).total_seconds()) > 60:
            raise WrongError(f"{self.app.name} says that a new user is of {made['created_at']}")
        self._expect(f"/users/{made['id']}", 200, plain(made))

    def press(self, load: str, seconds: int) -> wrk.Sample:
        """Raises WrongError when an answer was no success."""
        sample = wrk.run(self.server, seconds, load, str(ROWS), next(self.nonces))
        if load == "insert":
            self.acknowledged += sample.requests
            self.cut += wrk.CONNECTIONS
        return sample

    def _expect(self, path: str, status: int, body: Any) -> None:
        answer = self.server.ask("GET", path)
        if answer[0] != status or (body is not None and plain(answer[1]) != body):
            raise WrongError(f"{self.app.name} answered GET {path} with {answer[0]} {answer[1]}, not {status} {body}")


def plain(answer: Any) -> Any:
    """An answer with its moments as moments.

    On SQLite SQLAlchemy loses the time zone of a column, so handbook code answers without one; it is the same moment.
    """
    if isinstance(answer, list):
        return [plain(item) for item in answer]
    moment = datetime.fromisoformat(answer["created_at"])
    return {**answer, "created_at": moment if moment.tzinfo else moment.replace(tzinfo=UTC)}
