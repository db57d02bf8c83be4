"""The only file of this battery that knows about apps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.middleware import Middleware

from leyden.core import Battery, Clock, Events, Resources
from leyden.data.checks import CHECKS
from leyden.data.database import Database, Missing
from leyden.data.middleware import TellWrites
from leyden.data.replicas import replica_settings
from leyden.data.settings import DataSettings
from leyden.data.urls import backend_for


def battery(settings: DataSettings) -> Battery:
    """A relational database. Raises ConfigurationError when its URL cannot work or its driver is not installed."""
    backend_for(settings)
    replicated = replica_settings(settings) is not None

    @asynccontextmanager
    async def lifespan(resources: Resources) -> AsyncIterator[Database]:
        clock = resources[Clock]  # type: ignore[type-abstract]  # a protocol is a key here
        missing = resources[Missing] if Missing in resources else Missing.REFUSED  # noqa: SIM401 -- they are no dict
        async with Database(settings, clock=clock, events=resources[Events], missing=missing) as database:
            yield database

    return Battery(
        name="data",
        provides=Database,
        lifespan=lifespan,
        middleware=(Middleware(TellWrites, lag=settings.replica_lag),) if replicated else (),
        checks=CHECKS,
        locales=Path(__file__).parent / "locales",
        commands={"db": "leyden.data.commands:commands"},
    )
