"""Live objects found by their type, started in order and closed in reverse."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from leyden.core.battery import Battery, check_order
from leyden.core.checks import Stage, refuse, run_checks
from leyden.core.clock import Clock, SystemClock
from leyden.core.errors import ConfigurationError, ResourceMissingError
from leyden.core.events import Events
from leyden.core.garbage import set_aside
from leyden.core.supervisor import Supervisor

T = TypeVar("T")
_log = logging.getLogger("leyden.checks")
_STATE_KEY = "leyden"

DRAIN_GRACE = 5.0
"""Seconds that supervised coroutines get to finish when the app stops."""


class Resources:
    """What the running batteries provide, by type: `resources[Cache]`."""

    def __init__(self, live: Mapping[type, object], batteries: Sequence[Battery] = ()) -> None:
        self._live = dict(live)
        self.batteries = tuple(batteries)

    def __getitem__(self, kind: type[T]) -> T:
        try:
            return cast("T", self._live[kind])
        except KeyError:
            raise ResourceMissingError(kind=kind.__name__) from None

    def __contains__(self, kind: type) -> bool:
        return kind in self._live

    def __repr__(self) -> str:
        return f"Resources({', '.join(kind.__name__ for kind in self._live)})"

    def kinds(self) -> tuple[type, ...]:
        """Every type there is a resource for, in the order of starting."""
        return tuple(self._live)

    def _add(self, kind: type, value: object) -> None:
        self._live[kind] = value


class Installed:
    """What `install` did to an app: its batteries, replacements for tests, and the resources while it runs."""

    def __init__(self, batteries: Sequence[Battery]) -> None:
        self.batteries = tuple(batteries)
        self.overrides: dict[type, object] = {}
        self.resources: Resources | None = None


def installed(app: Starlette) -> Installed:
    """What Leyden knows of this app."""
    found = getattr(app.state, _STATE_KEY, None)
    if not isinstance(found, Installed):
        raise ConfigurationError(
            "This app has no batteries. Make it with leyden.create_app([...]), or call leyden.install(app, [...]) on it."
        )
    return found


def remember(app: Starlette, batteries: Sequence[Battery]) -> Installed:
    """Note the batteries on the app; once an app, so that one list is the place to look."""
    if hasattr(app.state, _STATE_KEY):
        raise ConfigurationError("This app has its batteries already. Add the new ones to that one list.")
    setattr(app.state, _STATE_KEY, Installed(batteries))
    return installed(app)


def resource(kind: type[T]) -> Callable[[HTTPConnection], Coroutine[Any, Any, T]]:
    """A dependency that gives the running resource of this type to HTTP and WebSocket endpoints alike."""

    async def provide(connection: HTTPConnection) -> T:
        live = _around(connection).resources
        if live is None:
            raise ResourceMissingError(
                f"{kind.__name__} is not running: the app's lifespan has not started. "
                "In a test, use leyden.testing.client(app)."
            )
        return live[kind]

    return provide


def _around(connection: HTTPConnection) -> Installed:
    """What is known of the app that serves this connection, or of the app that one is mounted in."""
    outer = connection.scope.get("state", {}).get(_STATE_KEY)
    if isinstance(outer, Installed) and not hasattr(connection.app.state, _STATE_KEY):
        return outer
    return installed(connection.app)


ClockDep = Annotated[Clock, Depends(resource(Clock))]
EventsDep = Annotated[Events, Depends(resource(Events))]
SupervisorDep = Annotated[Supervisor, Depends(resource(Supervisor))]


@asynccontextmanager
async def running(
    batteries: Sequence[Battery], *, overrides: Mapping[type, object] | None = None, check: bool = True
) -> AsyncIterator[Resources]:
    """Start every battery's resource in order and close them in reverse: for server, worker, CLI and tests.

    Each is checked before the next one starts: what refuses a start keeps the later ones from writing anything.
    `overrides` replaces resources by type; a battery whose resource is replaced is not started.
    `check=False` leaves the checks out, for commands that mend what a check would refuse.
    Raises StartError when a check of the start stage finds an error.
    """
    check_order(batteries)
    replaced = dict(overrides or {})
    events = Events()
    owner = Supervisor(events)
    resources = Resources({Clock: SystemClock(), Events: events, Supervisor: owner, **replaced}, batteries)
    async with AsyncExitStack() as stack:
        try:
            for battery in batteries:
                await _start(battery, resources, replaced, stack)
                if check:
                    await _heed_checks(battery, resources)
            yield resources
        finally:
            await owner.drain(DRAIN_GRACE)  # before the resources close: what still runs may need them


async def _start(
    battery: Battery, resources: Resources, replaced: Mapping[type, object], stack: AsyncExitStack
) -> None:
    if battery.lifespan is None or battery.provides in replaced:
        return
    value = await stack.enter_async_context(battery.lifespan(resources))
    if battery.provides is not None:
        resources._add(battery.provides, value)  # noqa: SLF001 -- only a start may add


async def _heed_checks(battery: Battery, resources: Resources) -> None:
    """Errors refuse the start; warnings are logged."""
    findings = await run_checks(battery.checks, resources, Stage.START)
    for found in findings:
        if not found.serious:
            _log.warning("%s", found)
    refuse(findings)


def lifespan_with(app_lifespan: Callable[[Any], Any], known: Installed) -> Callable[[Any], Any]:
    """The app's own lifespan, run inside the batteries'."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Any]:
        async with running(known.batteries, overrides=known.overrides) as resources:
            known.resources = resources
            try:
                async with app_lifespan(app) as state:
                    # The state reaches mounted apps, whose own lifespan never runs.
                    with set_aside():
                        yield {**(state or {}), _STATE_KEY: known}
            finally:
                known.resources = None

    return lifespan
