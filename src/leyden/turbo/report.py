"""What is compiled, and why the rest is not."""

from dataclasses import dataclass

from fastapi import FastAPI

from leyden.turbo.switch import turbo_of


@dataclass(frozen=True, slots=True)
class RouteReport:
    """One route: `source` is the function that serves it, or `why` says why FastAPI does."""

    route: str
    path: str | None
    """None for what may match any."""
    why: str = ""
    source: str = ""

    @property
    def compiled(self) -> bool:
        return not self.why

    def __str__(self) -> str:
        return f"{self.route}: {'compiled' if self.compiled else f'served by FastAPI, {self.why}'}"


def report(app: FastAPI) -> list[RouteReport]:
    """Every route of an accelerated application in the order in which it is tried; none if turbo is off."""
    turbo = turbo_of(app)
    if turbo is None:
        return []
    return [
        RouteReport(candidate.label, candidate.path, why=found)
        if isinstance(found, str)
        else RouteReport(candidate.label, candidate.path, source=found.source)
        for candidate, found in turbo.candidates()
    ]
