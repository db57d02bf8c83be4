"""A bank of one file that keeps its word, or breaks it in one of the usual ways, as STANDIN says.

`early` answers before it has committed; `race` reads, calculates and writes without a lock; `float` keeps money in
floats; `honest` does none of it. The judge of the fault campaign must tell them apart.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse

MODE = os.environ["STANDIN"]
FILE = os.environ["STANDIN_FILE"]


class InsufficientFundsError(Exception):
    pass


@contextmanager
def unit_of_work() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(FILE, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


def move(order: dict[str, Any], sender: str) -> None:
    with unit_of_work() as connection:
        row = (order["reference"], sender, order["to"], order["amount"])
        connection.execute("INSERT INTO wallet_transfers VALUES (?, ?, ?, ?)", row)
        for wallet, by in ((sender, -order["amount"]), (order["to"], order["amount"])):
            update = "UPDATE wallets SET balance = balance + ? WHERE id = ? AND balance + ? >= 0"
            if not connection.execute(update, (by, wallet, by)).rowcount:
                raise InsufficientFundsError


def move_carelessly(order: dict[str, Any], sender: str) -> None:
    """Each statement on its own, and the new balance from an old one."""
    connection = sqlite3.connect(FILE, timeout=10, isolation_level=None)
    row = (order["reference"], sender, order["to"], order["amount"])
    connection.execute("INSERT INTO wallet_transfers VALUES (?, ?, ?, ?)", row)
    for wallet, by in ((sender, -order["amount"]), (order["to"], order["amount"])):
        (balance,) = connection.execute("SELECT balance FROM wallets WHERE id = ?", (wallet,)).fetchone()
        time.sleep(0.002)
        connection.execute("UPDATE wallets SET balance = ? WHERE id = ?", (balance + by, wallet))
    connection.close()


def move_later(order: dict[str, Any], sender: str) -> None:
    time.sleep(0.3)
    move(order, sender)


app = FastAPI()


@app.post("/api/wallet/transfers")
def transfer(order: dict[str, Any], authorization: Annotated[str, Header()]) -> JSONResponse:
    sender = authorization.removeprefix("Bearer ")
    try:
        if MODE == "early":
            threading.Thread(target=move_later, args=(order, sender), daemon=True).start()
        elif MODE == "race":
            move_carelessly(order, sender)
        else:
            move(order, sender)
    except sqlite3.IntegrityError:
        return JSONResponse({"code": "reference_used"}, status_code=409)
    except InsufficientFundsError:
        return JSONResponse({"code": "insufficient_funds"}, status_code=409)
    return JSONResponse({}, status_code=201)
