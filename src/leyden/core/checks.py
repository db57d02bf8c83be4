"""Functions that find what is wrong, at start, for readiness and before a deployment."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from leyden.core.errors import ConfigurationError, StartError

if TYPE_CHECKING:
    from leyden.core.resources import Resources


class Stage(StrEnum):
    START = "start"
    READY = "ready"
    DEPLOY = "deploy"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `id` is stable, such as `data.W001`: W warns, E forbids."""

    id: str
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        _, _, number = self.id.partition(".")
        if number[:1] not in ("W", "E") or not number[1:].isdigit():
            raise ConfigurationError(f"'{self.id}' is no id of a finding. Write it like data.W001 or data.E001.")

    @property
    def serious(self) -> bool:
        return self.id.partition(".")[2].startswith("E")

    def __str__(self) -> str:
        return f"{self.id}: {self.message}" + (f" {self.hint}" if self.hint else "")


Found = Iterable[Finding] | AsyncIterator[Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """A function from the running resources to findings, and the stages it speaks at.

    At start these are the resources of its own battery and of those before it: it is asked before the next one starts.
    """

    run: "Callable[[Resources], Found]"
    stages: tuple[Stage, ...] = (Stage.START,)


async def run_checks(checks: Iterable[Check], resources: "Resources", stage: Stage) -> list[Finding]:
    """Every finding of the checks of this stage, in their order."""
    findings: list[Finding] = []
    for check in checks:
        if stage in check.stages:
            findings += await _collect(check.run(resources))
    return findings


def refuse(findings: Iterable[Finding]) -> None:
    """Raise StartError with those of the findings that forbid to go on, if there are any."""
    if serious := [found for found in findings if found.serious]:
        raise StartError("\n".join(map(str, serious)))


async def _collect(found: Found) -> list[Finding]:
    if inspect.isasyncgen(found) or isinstance(found, AsyncIterator):
        return [finding async for finding in found]
    return list(found)
