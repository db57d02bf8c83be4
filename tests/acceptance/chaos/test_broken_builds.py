"""The fault campaign run against apps that break their word in the usual ways: it finds each of them, and an honest app good.

Without this a table without losses means little.
"""

import importlib
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from leyden.testing import LiveServer

SCHEMA = """
CREATE TABLE wallets (id TEXT PRIMARY KEY, balance {money} NOT NULL);
CREATE TABLE wallet_transfers (reference TEXT UNIQUE, sender_id TEXT, recipient_id TEXT, amount {money});
"""
EACH = 1000
WALLETS = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(5)]
TIMES = {"p99", "broken_for_no_reason"}
"""What a stand-in that is no Leyden, on a busy machine, is not judged by."""


def make(file: Path, mode: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(SCHEMA.format(money="REAL" if mode == "float" else "INTEGER"))
        connection.executemany("INSERT INTO wallets VALUES (?, ?)", [(wallet, EACH) for wallet in WALLETS])
        grants = [(str(uuid.uuid4()), wallet, EACH) for wallet in WALLETS]
        connection.executemany("INSERT INTO wallet_transfers VALUES (?, NULL, ?, ?)", grants)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("honest", set()),
        ("early", {"lost"}),
        ("race", {"sum_off_by", "balance_not_its_rows"}),
        ("float", {"inexact"}),
    ],
)
def test_a_broken_promise_is_found(mode: str, expected: set[str], tmp_path: Path) -> None:
    clients, faults, held, judge, storm = (
        importlib.import_module(f"chaos.{name}") for name in ("clients", "faults", "held", "judge", "storm")
    )
    file = tmp_path / "bank.db"
    make(file, mode)
    env = {"STANDIN": mode, "STANDIN_FILE": str(file)}
    with LiveServer(Path(__file__).parent, app="standin:app", workers=2, env=env) as server:
        accounts = [clients.Account(wallet, token=wallet) for wallet in WALLETS]
        orders = clients.Orders(
            server.url, str(tmp_path / "clients.jsonl"), accounts, seconds=1.5, seed=1, clients=16, pause=0.02
        )
        told = storm.rage(orders, [faults.killed_workers(server)], tmp_path)
    figures: list[Any] = judge.judge(told, held.read(f"sqlite:///{file}", granted=EACH * len(WALLETS)))
    short = {figure.name for figure in figures if not figure.good} - TIMES
    assert told.kills
    assert short >= expected
    assert mode != "honest" or short == set()
