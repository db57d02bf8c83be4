"""A dependency has installed an override while its request runs: from there on FastAPI itself solves the rest."""

from collections.abc import Iterable
from typing import Any

from starlette.background import BackgroundTasks
from starlette.requests import Request
from starlette.responses import Response

from leyden.turbo import internals
from leyden.turbo.internals import INNER_STACK, Dependant

UNSET: Any = type("Unset", (), {"__repr__": lambda _self: "UNSET"})()
"""The result of a dependency that has not run."""


class Late:
    """What has been solved so far, by the keys under which FastAPI looks for it."""

    def __init__(
        self,
        request: Request,
        body: Any,
        overrides: Any,
        embed: bool,  # noqa: FBT001 -- the compiler's own call
        solved: Iterable[tuple[Any, Any]],
    ) -> None:
        self.cache = {key: result for key, result in solved if result is not UNSET}
        self.background: BackgroundTasks | None = None
        self.response: Response | None = None
        self._request = request
        self._body = body
        self._overrides = overrides
        self._embed = embed

    async def solve(
        self, dependant: Dependant, background: BackgroundTasks | None, response: Response | None
    ) -> tuple[Any, list[Any]]:
        """One dependency, as the only one of a dependant made for it; its result and its errors."""
        solved = await internals.solve_dependencies(
            request=self._request,
            dependant=Dependant(dependencies=[dependant], path=dependant.path),
            body=self._body,
            background_tasks=background,
            response=response,
            dependency_overrides_provider=self._overrides,
            dependency_cache=self.cache,
            async_exit_stack=self._request.scope[INNER_STACK],
            embed_body_fields=self._embed,
        )
        self.background, self.response = solved.background_tasks, solved.response
        return solved.values.get(dependant.name or "", UNSET), solved.errors
