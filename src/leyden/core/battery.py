"""The one shape of a feature."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.middleware import Middleware

from leyden.core.checks import Check
from leyden.core.errors import BatteryOrderError

if TYPE_CHECKING:
    from leyden.core.resources import Resources

Lifespan = Callable[["Resources"], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """Everything one feature adds to an app; `docs/glossary.md` says what each field is for."""

    name: str
    requires: tuple[str, ...] = ()
    provides: type | None = None
    lifespan: Lifespan | None = field(default=None, repr=False)
    routers: tuple[APIRouter, ...] = field(default=(), repr=False)
    middleware: tuple[Middleware, ...] = field(default=(), repr=False)
    innermost: tuple[Middleware, ...] = field(default=(), repr=False)
    exception_handlers: Mapping[int | type[Exception], Callable[..., Any]] = field(default_factory=dict, repr=False)
    checks: tuple[Check, ...] = field(default=(), repr=False)
    commands: Mapping[str, str] = field(default_factory=dict, repr=False)
    seeds: Mapping[str, str] = field(default_factory=dict, repr=False)
    models: tuple[type, ...] = field(default=(), repr=False)
    migrations: str | None = field(default=None, repr=False)
    locales: Path | None = field(default=None, repr=False)


def check_order(batteries: Sequence[Battery]) -> None:
    """Refuse a list in which a battery is doubled, missing or behind one that needs it."""
    names = [battery.name for battery in batteries]
    for place, battery in enumerate(batteries):
        if battery.name in names[:place]:
            raise BatteryOrderError(
                f"The battery '{battery.name}' is in the list twice. Remove one of them, or give one another name."
            )
        for needed in battery.requires:
            if needed in names[:place]:
                continue
            raise BatteryOrderError(
                _misplaced(battery.name, needed) if needed in names else _absent(battery.name, needed)
            )


def _misplaced(name: str, needed: str) -> str:
    return f"The battery '{name}' needs '{needed}' before it. Move '{needed}' above '{name}' in the list of batteries."


def _absent(name: str, needed: str) -> str:
    return f"The battery '{name}' needs '{needed}', which is not in the list. Add '{needed}' above '{name}'."
