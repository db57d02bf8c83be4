"""The factory: it loops over batteries and knows none of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leyden.core.battery import Battery, check_order
from leyden.core.errors import ConfigurationError, LeydenError
from leyden.core.layers import Layers
from leyden.core.resources import lifespan_with, remember
from leyden.turbo.switch import accelerate_if_known

_STOCK_HANDLERS = (http_exception_handler, request_validation_exception_handler)


def create_app(batteries: Sequence[Battery], *, turbo: bool = True, **fastapi: Any) -> FastAPI:
    """A plain FastAPI application with these batteries, and compiled routes if `turbo`; other keywords are FastAPI's.

    Its documentation pages are off unless a battery or a keyword turns them on: FastAPI's load from a CDN.
    """
    if not (fastapi.get("docs_url") or fastapi.get("redoc_url")):
        fastapi.setdefault("openapi_url", None)
    app = FastAPI(**{"docs_url": None, "redoc_url": None, **fastapi})
    install(app, batteries)
    if turbo:
        accelerate_if_known(app)
    return app


def install(app: FastAPI, batteries: Sequence[Battery]) -> None:
    """Add batteries to an existing FastAPI application, once, before it starts.

    Their middleware goes outside the app's own, also outside what it adds later, first is outermost. Their routes come
    before the app's own, so that no catch-all of the app hides them. Errors the app handles itself stay its own.
    Raises BatteryOrderError when the list cannot start and ConfigurationError when the app has started.
    """
    check_order(batteries)
    if app.middleware_stack is not None:
        raise ConfigurationError("The app has started already. Call leyden.install before it serves a request.")
    known = remember(app, batteries)
    app.user_middleware = Layers(batteries, app.user_middleware)
    own_routes = app.router.routes.copy()
    app.router.routes.clear()
    for battery in batteries:
        _add_handlers(app, battery.exception_handlers)
        for router in battery.routers:
            app.include_router(router)
    app.router.routes += own_routes
    app.exception_handlers.setdefault(LeydenError, _answer_plainly)
    app.router.lifespan_context = lifespan_with(app.router.lifespan_context, known)


def _add_handlers(app: FastAPI, handlers: Mapping[int | type[Exception], Callable[..., Any]]) -> None:
    for kind, handler in handlers.items():
        known = app.exception_handlers.get(kind)
        if kind is Exception:
            known = known or app.exception_handlers.get(500)  # to Starlette the same, and the later one would win
        if known in (None, *_STOCK_HANDLERS):
            app.exception_handlers[kind] = handler


async def _answer_plainly(_request: Request, error: Exception) -> Response:
    """FastAPI's own form of an error, for apps without a battery that has a better one."""
    if not isinstance(error, LeydenError):
        raise error
    return JSONResponse({"detail": error.detail}, status_code=error.status, headers=error.headers)
