"""Checks find what is wrong; a finding has a stable id."""

from collections.abc import AsyncIterator, Iterator

import pytest

from leyden import Check, Finding, Resources
from leyden.core import ConfigurationError, Stage, run_checks

NOTHING = Resources({})
WARNING = Finding("demo.W001", "The lamp is dim.", "Buy a bulb.")
ERROR = Finding("demo.E002", "The lamp is off.")


def one(_resources: Resources) -> Iterator[Finding]:
    yield WARNING


async def two(_resources: Resources) -> AsyncIterator[Finding]:
    yield ERROR


def nothing(_resources: Resources) -> list[Finding]:
    return []


async def test_findings_come_in_the_order_of_the_checks() -> None:
    assert await run_checks([Check(two), Check(nothing), Check(one)], NOTHING, Stage.START) == [ERROR, WARNING]


async def test_a_check_speaks_only_at_its_stages() -> None:
    checks = [Check(one, stages=(Stage.DEPLOY,)), Check(two, stages=(Stage.READY, Stage.DEPLOY))]
    assert await run_checks(checks, NOTHING, Stage.START) == []
    assert await run_checks(checks, NOTHING, Stage.READY) == [ERROR]
    assert await run_checks(checks, NOTHING, Stage.DEPLOY) == [WARNING, ERROR]


def test_e_is_serious_and_w_is_not() -> None:
    assert ERROR.serious
    assert not WARNING.serious


def test_a_finding_prints_as_one_line() -> None:
    assert str(WARNING) == "demo.W001: The lamp is dim. Buy a bulb."
    assert str(ERROR) == "demo.E002: The lamp is off."


@pytest.mark.parametrize("wrong", ["demo", "demo.X001", "demo.W", "demo.Wone", "W001", ""])
def test_an_id_that_cannot_be_looked_up_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"data\.W001"):
        Finding(wrong, "something")
