"""Turning turbo on; with a FastAPI that it does not know it stays off, and nothing of what stands on FastAPI's inside is loaded."""

import logging
import warnings
from importlib import import_module
from typing import Any

from fastapi import FastAPI

STATE = "leyden_turbo"
_log = logging.getLogger("leyden.turbo")


class TurboWarning(UserWarning):
    """Turbo has turned itself off."""


def accelerate(app: FastAPI) -> FastAPI:
    """Serve this application's routes from compiled functions; the answers are FastAPI's. Returns the same application.

    Warns and changes nothing with a FastAPI that turbo does not know, and for a class derived from FastAPI's.
    """
    if reason := _why_off(app):
        warnings.warn(reason, TurboWarning, stacklevel=2)
    return app


def accelerate_if_known(app: FastAPI) -> None:
    """The same for who did not ask for it: why it is not done is logged."""
    if reason := _why_off(app):
        _log.warning(reason)


def turbo_of(app: FastAPI) -> Any:
    """The Turbo of an accelerated application, or None."""
    return getattr(app, STATE, None)


def _why_off(app: FastAPI) -> str | None:
    """None when it is on."""
    if turbo_of(app) is not None:
        return None
    try:
        dispatch = import_module("leyden.turbo.dispatch")
    except ImportError as error:  # something has moved
        return f"This FastAPI is not known to turbo: {error}. FastAPI itself serves every request."
    reason: str | None = dispatch.why_not(app)
    if reason is None:
        setattr(app, STATE, dispatch.Turbo(app))
    return reason
