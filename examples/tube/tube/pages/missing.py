"""What a person gets who asks for a page that is not there."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from tube.pages.render import render


async def answer_missing(request: Request, error: Exception) -> Response:
    """A page for browsers outside /api; everybody else gets what the http battery answers."""
    if _wants_page(request):
        return render(request, "missing.html", status=404)
    response: Response = await _usual_answer(request.app, error)(request, error)
    return response


def _wants_page(request: Request) -> bool:
    path = request.url.path
    return path != "/api" and not path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _usual_answer(app: FastAPI, error: Exception) -> Callable[..., Any]:
    """The handler of the nearest class above the error's that is not this page."""
    handlers = (app.exception_handlers.get(kind) for kind in type(error).__mro__)
    return next(handler for handler in handlers if handler not in (None, answer_missing))
