"""The judge: identities between what clients were told and what the database holds. Pure, and tested on forged ledgers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, inf
from typing import Any

from chaos.ledger import Unjudged
from load.figures import Figure, Target

GRACE = 2.0
"""Seconds after a database accepts connections again in which requests may still be refused."""
BREAKAGE = 1.0
"""Seconds after the end of a worker in which connections to it may break."""
SLOW = 500.0
USED = "reference_used"

NONE = Target("<=", 0)
SOME = Target(">=", 1)


@dataclass(frozen=True)
class Move:
    """A transfer, as it was meant or as the database's ledger has it; without a source it came from outside."""

    reference: str
    source: str | None
    target: str
    amount: Any


@dataclass(frozen=True)
class Attempt:
    status: int | None
    code: str
    began: float
    ended: float

    @property
    def milliseconds(self) -> float:
        return (self.ended - self.began) * 1000

    def during(self, spans: Sequence[tuple[float, float]]) -> bool:
        return any(self.began <= until and self.ended >= since for since, until in spans)


@dataclass
class Intent:
    """A transfer that a client meant to happen once, and every attempt it made."""

    move: Move
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """`acknowledged`, `refused`, or `unknown`. That its reference is used tells of an attempt left unanswered."""
        unanswered = False
        for attempt in self.attempts:
            if attempt.status == 201 or (unanswered and attempt.code == USED):
                return "acknowledged"
            if attempt.status is not None and attempt.status < 500:
                return "refused"
            unanswered = True
        return "unknown"


@dataclass(frozen=True)
class Told:
    """What the ledgers of the clients and of the faults say."""

    intents: Mapping[str, Intent]
    kills: Sequence[float] = ()
    outages: Sequence[tuple[float, float]] = ()

    @classmethod
    def read(cls, clients: Sequence[Mapping[str, Any]], faults: Sequence[Mapping[str, Any]]) -> "Told":
        intents: dict[str, Intent] = {}
        for entry in clients:
            reference = entry["reference"]
            if entry["kind"] == "intent":
                intents[reference] = Intent(Move(reference, entry["source"], entry["target"], entry["amount"]))
            else:
                attempt = Attempt(entry["status"], entry["code"], entry["began"], entry["ended"])
                intents[reference].attempts.append(attempt)
        return cls(
            intents,
            kills=[entry["at"] for entry in faults if entry["kind"] == "kill"],
            outages=[(entry["began"], entry["ended"]) for entry in faults if entry["kind"] == "outage"],
        )

    @cached_property
    def excused(self) -> list[tuple[float, float]]:
        return [(began, ended + GRACE) for began, ended in self.outages]

    @property
    def attempts(self) -> Iterator[Attempt]:
        for intent in self.intents.values():
            yield from intent.attempts

    @property
    def outside(self) -> Iterator[Attempt]:
        return (attempt for attempt in self.attempts if not attempt.during(self.excused))

    def count(self, outcome: str) -> int:
        return sum(intent.outcome == outcome for intent in self.intents.values())


@dataclass(frozen=True)
class Held:
    """What the database holds after the drain; `granted` is what the campaign has put in."""

    granted: int
    balances: Mapping[str, Any]
    moves: Sequence[Move]


def judge(told: Told, held: Held) -> list[Figure]:
    """Raises Unjudged where too little happened to judge by."""
    if not told.count("acknowledged"):
        raise Unjudged("no transfer was acknowledged")
    return [*_happened(told), *_money(held), *_ledger(told, held), *_answers(told)]


def _happened(told: Told) -> Iterator[Figure]:
    for outcome in ("acknowledged", "refused", "unknown"):
        yield Figure(outcome, told.count(outcome), "moves")
    yield Figure("rate", _rate(told), "1/s")
    repeated = sum(len(intent.attempts) > 1 and intent.outcome != "refused" for intent in told.intents.values())
    yield Figure("asked_again", repeated, "moves")


def _rate(told: Told) -> float:
    """Transfers a second, outages included."""
    attempts = list(told.attempts)
    spent = max(attempt.ended for attempt in attempts) - min(attempt.began for attempt in attempts)
    return told.count("acknowledged") / spent


def _money(held: Held) -> Iterator[Figure]:
    amounts = [*held.balances.values(), *(move.amount for move in held.moves)]
    yield _none("inexact", sum(type(amount) is not int for amount in amounts), "values")
    yield _none("negative", sum(balance < 0 for balance in held.balances.values()), "wallets")
    yield _none("sum_off_by", abs(sum(held.balances.values()) - held.granted), "cents")
    sums: Counter[str | None] = Counter()
    for move in held.moves:
        sums[move.target] += move.amount
        sums[move.source] -= move.amount
    yield _none("grants_off_by", abs(-sums[None] - held.granted), "cents")
    wrong = sum(sums[wallet] != balance for wallet, balance in held.balances.items())
    yield _none("balance_not_its_rows", wrong, "wallets")


def _ledger(told: Told, held: Held) -> Iterator[Figure]:
    rows = Counter(move.reference for move in held.moves if move.source is not None)
    meant = {reference: intent.move for reference, intent in told.intents.items()}
    outcomes = {reference: intent.outcome for reference, intent in told.intents.items()}
    yield _none("lost", sum(not rows[name] for name, outcome in outcomes.items() if outcome == "acknowledged"), "moves")
    yield _none("refused_but_made", sum(rows[name] for name in outcomes if outcomes[name] == "refused"), "moves")
    yield _none("made_twice", sum(count > 1 for count in rows.values()), "moves")
    moves = [move for move in held.moves if move.source is not None]
    yield _none("of_nobody", sum(move.reference not in meant for move in moves), "moves")
    yield _none("altered", sum(move != meant.get(move.reference, move) for move in moves), "moves")


def _answers(told: Told) -> Iterator[Figure]:
    outside = list(told.outside)
    crashes = [(at, at + BREAKAGE) for at in told.kills]
    errors = [attempt for attempt in told.attempts if (attempt.status or 0) >= 500]
    yield Figure("5xx_in_outages", sum(attempt.during(told.excused) for attempt in errors), "answers")
    yield _none("5xx_outside_outages", sum(not attempt.during(told.excused) for attempt in errors), "answers")
    yield _none("5xx_that_is_no_503", sum(attempt.status != 503 for attempt in errors), "answers")
    broken = [attempt for attempt in outside if attempt.status is None]
    yield Figure("broken_by_kills", sum(attempt.during(crashes) for attempt in broken), "answers")
    yield _none("broken_for_no_reason", sum(not attempt.during(crashes) for attempt in broken), "answers")
    times = [attempt.milliseconds for attempt in outside if attempt.status is not None and attempt.status < 500]
    yield Figure("p50", percentile(times, 0.5), "ms")
    yield Figure("p99", percentile(times, 0.99), "ms", Target("<", SLOW))
    if told.outages:
        yield Figure("success_after_outage", _recovery(told), "s", Target("<=", GRACE))


def _recovery(told: Told) -> float | None:
    """The longest from a database that accepts connections to the first success; None where there was none."""
    successes = sorted(attempt.ended for attempt in told.attempts if attempt.status == 201)
    waits = [next((at - ended for at in successes if at > ended), inf) for _, ended in told.outages]
    return max(waits) if max(waits) < inf else None


def percentile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that this part of all does not exceed."""
    return sorted(values)[ceil(part * len(values)) - 1] if values else None


def _none(name: str, value: float, unit: str) -> Figure:
    return Figure(name, value, unit, NONE)
