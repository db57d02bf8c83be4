"""Whether this process lives, and whether it should be given requests."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.types import Scope

from leyden.core.checks import Check, Finding, Stage, run_checks
from leyden.core.concurrency import Outcome, gather_limited
from leyden.core.errors import FieldError
from leyden.core.resources import Resources, installed
from leyden.http.errors import NotReadyError
from leyden.http.stopping import Stopping

_PREFIX = "/health"
_METHODS = ["GET", "HEAD"]
_CHECK_DEADLINE = 2.0
_AT_ONCE = 20


def is_health(scope: Scope) -> bool:
    """Whether a probe asks; it comes over plain HTTP and knows no host name."""
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    return path in (f"{_PREFIX}/live", f"{_PREFIX}/ready")


def health_router() -> APIRouter:
    router = APIRouter(prefix=_PREFIX, include_in_schema=False)

    @router.api_route("/live", methods=_METHODS)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.api_route("/ready", methods=_METHODS)
    async def ready(request: Request) -> dict[str, str]:
        known = installed(request.app)
        if known.resources is None or known.resources[Stopping].is_set():
            raise NotReadyError(headers={"Retry-After": "1"})
        checks = [check for battery in known.batteries for check in battery.checks if Stage.READY in check.stages]
        if serious := await _serious(checks, known.resources):
            raise NotReadyError(headers={"Retry-After": "1"}, fields=serious)
        return {"status": "ready"}

    return router


async def _serious(checks: list[Check], resources: Resources) -> list[FieldError]:
    outcomes = await gather_limited(
        (run_checks([check], resources, Stage.READY) for check in checks), limit=_AT_ONCE, timeout=_CHECK_DEADLINE
    )
    return [FieldError(*wrong) for outcome in outcomes for wrong in _wrong(outcome)]


def _wrong(outcome: Outcome[list[Finding]]) -> list[tuple[str, str, str]]:
    """Ids only: the texts of findings name hosts and paths, and anybody may ask."""
    if not outcome.ok:
        return [("http", "http.E001", "A check did not finish.")]
    found = outcome.result()
    return [(one.id.partition(".")[0], one.id, "This part is not ready.") for one in found if one.serious]
