"""An app with the http battery and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from leyden import Battery, create_app
from leyden.http import HttpSettings, battery

MakeApp = Callable[..., FastAPI]


@pytest.fixture
def make_app() -> MakeApp:
    """Keywords are HttpSettings' options; `more` are batteries behind it, `fastapi` is for FastAPI."""

    def make(
        *,
        more: tuple[Battery, ...] = (),
        development: bool = False,
        fastapi: dict[str, Any] | None = None,
        **options: Any,
    ) -> FastAPI:
        edge = battery(HttpSettings(**options), development=development)
        return create_app([edge, *more], **{"title": "Edge", **(fastapi or {})})

    return make
