"""The order of an app's middleware."""

from collections.abc import Sequence
from typing import SupportsIndex

from starlette.middleware import Middleware

from leyden.core.battery import Battery


class Layers(list[Middleware]):
    """An app's middleware, in which `app.add_middleware` puts its own inside the batteries', not outermost."""

    def __init__(self, batteries: Sequence[Battery], own: Sequence[Middleware]) -> None:
        super().__init__(layer for battery in batteries for layer in battery.middleware)
        self._outside = len(self)
        self += [*own, *(layer for battery in batteries for layer in battery.innermost)]

    def insert(self, index: SupportsIndex, layer: Middleware) -> None:
        super().insert(max(int(index), self._outside), layer)
