"""Clients that send money to and fro, in a process of their own: `python -m chaos.clients`, its orders on stdin.

An intent is on the disk before its request leaves. What has no answer is asked again with the same reference, until it
has one or the clients' patience ends; some of what was acknowledged is asked again too, and must not happen twice.
"""

import asyncio
import json
import random
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

from chaos.ledger import Ledger
from chaos.wire import Answer, Connection

TRANSFERS = "/api/wallet/transfers"
SMALL, LARGE = 100, 20_000
DRAIN = 30.0
"""Seconds after the last new transfer in which open ones are asked for."""
HABIT = 50
"""Requests after which a client takes a new connection, on the average: so both workers have some."""
AGAIN = 0.02


@dataclass(frozen=True)
class Account:
    wallet: str
    token: str


@dataclass(frozen=True)
class Orders:
    url: str
    ledger: str
    accounts: Sequence[Account]
    seconds: float
    seed: int
    clients: int
    pause: float

    @classmethod
    def parse(cls, text: str) -> "Orders":
        told = json.loads(text)
        return cls(**{**told, "accounts": [Account(**account) for account in told["accounts"]]})

    def __str__(self) -> str:
        return json.dumps(asdict(self))


class Teller:
    """One client: one connection, and one transfer at a time."""

    def __init__(self, url: str, ledger: Ledger, chance: random.Random, *, until: float) -> None:
        self._connection = Connection(url)
        self._ledger = ledger
        self._chance = chance
        self._until = until

    async def send(self, source: Account, target: Account, amount: int) -> Answer:
        """Until there is an answer, or patience ends."""
        move = {"to": target.wallet, "amount": amount, "reference": self._reference()}
        facts = {"source": source.wallet, "target": target.wallet, "amount": amount}
        self._ledger.note("intent", reference=move["reference"], **facts)
        await self._ledger.keep_noted()
        answer = await self._attempt(source, move)
        while not answer.settles and monotonic() < self._until:
            await asyncio.sleep(self._chance.uniform(0.05, 0.25))
            answer = await self._attempt(source, move)
        if answer.status == 201 and self._chance.random() < AGAIN:
            await self._attempt(source, move)
        return answer

    async def _attempt(self, source: Account, move: dict[str, object]) -> Answer:
        if self._chance.random() < 1 / HABIT:
            self._connection.close()
        answer = await self._connection.request("POST", TRANSFERS, token=source.token, content=move)
        self._ledger.note(
            "answer",
            reference=move["reference"],
            status=answer.status,
            code=answer.code if answer.status != 201 else "",
            began=answer.began,
            ended=answer.ended,
        )
        return answer

    def _reference(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))  # MariaDB takes no other random bits

    def close(self) -> None:
        self._connection.close()


async def serve(orders: Orders) -> None:
    end = monotonic() + orders.seconds
    with Ledger(Path(orders.ledger)) as ledger:
        async with asyncio.TaskGroup() as group:
            for number in range(orders.clients):
                chance = random.Random(f"{orders.seed} {number}")  # noqa: S311 -- to be repeated
                teller = Teller(orders.url, ledger, chance, until=end + DRAIN)
                group.create_task(_spend(teller, orders, chance, end))


async def _spend(teller: Teller, orders: Orders, chance: random.Random, end: float) -> None:
    await asyncio.sleep(chance.uniform(0, orders.pause))
    while monotonic() < end:
        source, target = chance.sample(orders.accounts, 2)
        most = LARGE if chance.random() < 0.1 else SMALL
        await teller.send(source, target, chance.randint(1, most))
        await asyncio.sleep(chance.expovariate(1 / orders.pause) if orders.pause else 0)
    teller.close()


if __name__ == "__main__":
    asyncio.run(serve(Orders.parse(sys.stdin.readline())))
