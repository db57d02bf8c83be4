"""The http battery: the stack around every request, composed here, outermost first."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from leyden.core.battery import Battery, Lifespan
from leyden.core.resources import Resources
from leyden.http.catalogue import Catalogues
from leyden.http.checks import deploy_checks
from leyden.http.docs import docs_router
from leyden.http.handlers import handlers
from leyden.http.health import health_router
from leyden.http.middleware.body_limit import BodyLimit
from leyden.http.middleware.catch import Catch
from leyden.http.middleware.cors import Cors
from leyden.http.middleware.deadline import Deadline
from leyden.http.middleware.drain import Drain
from leyden.http.middleware.hosts import Hosts
from leyden.http.middleware.https import Https
from leyden.http.middleware.identify import Identify
from leyden.http.middleware.measure import Measure
from leyden.http.middleware.note import Note
from leyden.http.middleware.secure import Secure
from leyden.http.problems import Problems
from leyden.http.settings import HttpSettings
from leyden.http.signals import chained
from leyden.http.stopping import Stopping
from leyden.http.unknown import unknown_router

_DRAIN_DELAY = 5.0
"""Seconds for which a load balancer may still send requests after readiness has gone."""


def battery(settings: HttpSettings, *, development: bool = False) -> Battery:
    """Everything between the server and the endpoints: problems, limits, headers, health, documentation, stopping."""
    catalogues = Catalogues(settings.language, settings.locales)
    problems = Problems(catalogues)
    answering = handlers(problems)
    return Battery(
        name="http",
        provides=Stopping,
        lifespan=_lifespan(settings, catalogues, development=development),
        routers=_routers(settings, development=development),
        middleware=_stack(settings, problems, answering[Exception]),
        innermost=(Middleware(Note),),
        exception_handlers=answering,
        checks=deploy_checks(settings),
    )


def _stack(settings: HttpSettings, problems: Problems, last_resort: Callable[..., Any]) -> tuple[Middleware, ...]:
    stack = [
        Middleware(Identify, header=settings.request_id_header),
        Middleware(Measure, slow=settings.slow_request),
        Middleware(Drain),
        Middleware(Secure, hsts=settings.hsts),
        Middleware(Hosts, allowed=settings.hosts, problems=problems),
        Middleware(Https) if settings.https_redirect else None,
        Middleware(Cors, settings=settings, problems=problems) if settings.cors_origins else None,
        Middleware(GZipMiddleware, minimum_size=settings.gzip_minimum) if settings.gzip_minimum is not None else None,
        Middleware(BodyLimit, largest=settings.max_body_size, problems=problems),
        Middleware(Catch, problems=problems, handler=last_resort),
        Middleware(Deadline, seconds=settings.deadline, problems=problems) if settings.deadline is not None else None,
    ]
    return tuple(layer for layer in stack if layer is not None)


def _routers(settings: HttpSettings, *, development: bool) -> tuple[APIRouter, ...]:
    routers = [health_router()]
    if development if settings.docs is None else settings.docs:
        routers.append(docs_router(settings))
    if settings.api_prefix:
        routers.append(unknown_router(settings.api_prefix))
    return tuple(routers)


def _lifespan(settings: HttpSettings, catalogues: Catalogues, *, development: bool) -> Lifespan:
    delay = settings.drain_delay
    if delay is None:
        delay = 0.0 if development else _DRAIN_DELAY

    @asynccontextmanager
    async def lifespan(resources: Resources) -> AsyncIterator[Stopping]:
        catalogues.learn(battery.locales for battery in resources.batteries if battery.locales is not None)
        stopping = Stopping()
        with chained(stopping, drain_delay=delay, grace=settings.grace):
            try:
                yield stopping
            finally:
                stopping.set()

    return lifespan
