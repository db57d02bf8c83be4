"""The judge of the fault campaign finds what is wrong in forged ledgers, names it, and finds nothing else."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def chaos(campaign: Path) -> SimpleNamespace:
    return SimpleNamespace(**{name: importlib.import_module(f"chaos.{name}") for name in ("judge", "ledger", "plan")})


def intent(reference: str, amount: int = 10) -> dict[str, Any]:
    return {"kind": "intent", "reference": reference, "source": "a", "target": "b", "amount": amount}


def answer(
    reference: str, status: int | None, code: str = "", *, at: float = 0.0, took: float = 0.01
) -> dict[str, Any]:
    told = {"reference": reference, "status": status, "code": code}
    return {"kind": "answer", "began": at, "ended": at + took, **told}


CLIENTS = [
    *(intent("made"), answer("made", 201)),
    *(intent("poor", 1000), answer("poor", 409, "insufficient_funds")),
    *(intent("cut"), answer("cut", None), answer("cut", 409, "reference_used")),
    *(intent("down"), answer("down", 503, at=2.0)),
]
FAULTS = [
    {"kind": "kill", "at": 0.005, "pid": 1},
    {"kind": "replaced", "at": 1.0, "pid": 1},
    {"kind": "outage", "began": 1.9, "ended": 2.5, "how": "restart"},
]
BALANCES = {"a": 80, "b": 120}
MOVES = [("g1", None, "a", 100), ("g2", None, "b", 100), ("made", "a", "b", 10), ("cut", "a", "b", 10)]


@pytest.fixture
def wrong(chaos: SimpleNamespace) -> Callable[..., dict[str, float]]:
    """The figures that are short, on ledgers and a database that are right but for what is said."""

    def judged(
        clients: list[dict[str, Any]] = CLIENTS,
        faults: list[dict[str, Any]] = FAULTS,
        balances: dict[str, Any] = BALANCES,
        moves: list[tuple[Any, ...]] = MOVES,
    ) -> dict[str, float]:
        later = [*clients, intent("last"), answer("last", 201, at=3.0)]
        rows = [*moves, ("last", "a", "b", 0)]
        held = chaos.judge.Held(200, balances, [chaos.judge.Move(*row) for row in rows])
        figures = chaos.judge.judge(chaos.judge.Told.read(forged(later), faults), held)
        return {figure.name: figure.value for figure in figures if not figure.good}

    def forged(clients: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [entry | {"amount": 0} if entry == intent("last") else entry for entry in clients]

    return judged


def test_nothing_is_wrong_where_every_answer_was_kept(wrong: Callable[..., dict[str, float]]) -> None:
    assert wrong() == {}


def test_an_unknown_transfer_may_be_there_or_not(wrong: Callable[..., dict[str, float]]) -> None:
    assert wrong(moves=[*MOVES, ("down", "a", "b", 10)], balances={"a": 70, "b": 130}) == {}


@pytest.mark.parametrize(
    ("balances", "moves", "found"),
    [
        ({"a": 90, "b": 110}, MOVES[:3], {"lost": 1}),
        ({"a": 90, "b": 110}, [*MOVES[:2], MOVES[3]], {"lost": 1}),
        ({"a": 70, "b": 130}, [*MOVES, MOVES[2]], {"made_twice": 1}),
        ({"a": -920, "b": 1120}, [*MOVES, ("poor", "a", "b", 1000)], {"refused_but_made": 1, "negative": 1}),
        ({"a": 79, "b": 121}, [*MOVES, ("x", "a", "b", 1)], {"of_nobody": 1}),
        ({"a": 81, "b": 119}, [*MOVES[:3], ("cut", "a", "b", 9)], {"altered": 1}),
        ({"a": 120, "b": 80}, [*MOVES[:2], ("made", "b", "a", 10), ("cut", "b", "a", 10)], {"altered": 2}),
        ({"a": 80, "b": 110}, MOVES, {"sum_off_by": 10, "balance_not_its_rows": 1}),
        ({"a": 90, "b": 110}, MOVES, {"balance_not_its_rows": 2}),
        ({"a": 80.0, "b": 120}, MOVES, {"inexact": 1}),
        ({"a": 80, "b": 120}, [("g1", None, "a", 100.0), *MOVES[1:]], {"inexact": 1}),
        (
            {"a": 80, "b": 121},
            [*MOVES, ("g3", None, "b", 1)],
            {"sum_off_by": 1, "grants_off_by": 1},
        ),
    ],
)
def test_money_that_is_not_where_it_was_said_to_be(
    wrong: Callable[..., dict[str, float]],
    balances: dict[str, Any],
    moves: list[tuple[Any, ...]],
    found: dict[str, float],
) -> None:
    assert wrong(balances=balances, moves=moves) == found


@pytest.mark.parametrize(
    ("late", "found"),
    [
        (answer("made", 503, at=7.0), {"5xx_outside_outages": 1}),
        (answer("made", 503, at=4.4), {}),
        (answer("made", 500, at=2.0), {"5xx_that_is_no_503": 1}),
        (answer("made", None, at=0.5), {}),
        (answer("made", None, at=1.2), {"broken_for_no_reason": 1}),
        (answer("made", 409, "reference_used", at=0.1, took=0.6), {"p99": 600.0}),
        (answer("made", 409, "reference_used", at=2.0, took=0.6), {}),
    ],
)
def test_answers_that_no_fault_excuses(
    wrong: Callable[..., dict[str, float]], late: dict[str, Any], found: dict[str, float]
) -> None:
    assert wrong(clients=[*CLIENTS, late]) == pytest.approx(found)


def test_a_database_that_is_back_and_not_used_is_told(wrong: Callable[..., dict[str, float]]) -> None:
    never = {"kind": "outage", "began": 8.0, "ended": 9.0, "how": "restart"}
    assert wrong(faults=[*FAULTS, never]) == {"success_after_outage": None}
    early = {"kind": "outage", "began": 0.5, "ended": 0.6, "how": "restart"}
    assert wrong(faults=[*FAULTS, early]) == pytest.approx({"success_after_outage": 2.41})


def test_what_is_in_flight_when_the_outcome_is_known_does_not_change_it(chaos: SimpleNamespace) -> None:
    told = chaos.judge.Told.read(CLIENTS, FAULTS)
    outcomes = {reference: found.outcome for reference, found in told.intents.items()}
    assert outcomes == {"made": "acknowledged", "poor": "refused", "cut": "acknowledged", "down": "unknown"}


def test_a_run_in_which_nothing_was_acknowledged_is_not_judged(chaos: SimpleNamespace) -> None:
    with pytest.raises(chaos.ledger.Unjudged):
        chaos.judge.judge(chaos.judge.Told.read([], []), chaos.judge.Held(0, {}, []))


def test_a_torn_or_missing_ledger_is_not_judged(chaos: SimpleNamespace, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.write_text('{"kind": "intent"}\n{"kind": "ans')
    for path in (torn, tmp_path / "missing"):
        with pytest.raises(chaos.ledger.Unjudged):
            chaos.ledger.read(path)


async def test_what_was_kept_is_read_again(chaos: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with chaos.ledger.Ledger(path) as ledger:
        ledger.note("intent", reference="1")
        await ledger.keep_noted()
        assert chaos.ledger.read(path) == [{"kind": "intent", "reference": "1"}]
        ledger.keep("kill", at=1.5)
        ledger.note("answer", reference="1")
    assert [entry["kind"] for entry in chaos.ledger.read(path)] == ["intent", "kill", "answer"]
