"""Under the API's prefix there are no pages: an unknown path is a 404 for every client."""

from pathlib import Path

from fastapi import APIRouter, Depends

from leyden.core.errors import NotFoundError

_NOTHING = Path(__file__).parent / "static" / "nothing"


async def _refuse() -> None:
    raise NotFoundError


def unknown_router(prefix: str) -> APIRouter:
    """A front end with nothing in it: FastAPI prefers it to one at `/`, and every route and redirect to both."""
    router = APIRouter(dependencies=[Depends(_refuse)])
    router.frontend(prefix, directory=_NOTHING, fallback=None, check_dir=True)
    return router
