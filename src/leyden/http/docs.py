"""The API's documentation pages, from files in this package: no CDN, no inline script."""

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_oauth2_redirect_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from leyden.http.openapi import name_logins, with_problems
from leyden.http.settings import HttpSettings

_STATIC = Path(__file__).parent / "static"
_POPUPS = {"Cross-Origin-Opener-Policy": "same-origin-allow-popups"}  # the login page of an OAuth provider
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{static}/swagger-ui/favicon.png">
<link rel="stylesheet" href="{static}/swagger-ui/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-openapi="{openapi}" data-redirect="{redirect}" data-parameters="{parameters}"
     data-oauth="{oauth}"></div>
<script src="{static}/swagger-ui/swagger-ui-bundle.js"></script>
<script src="{static}/docs.js"></script>
</body>
</html>
"""
# Swagger UI writes style attributes and draws its icons from data URLs.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def docs_router(settings: HttpSettings) -> APIRouter:
    """Swagger UI at `docs_path` and the document it shows at `openapi_path`."""
    router = APIRouter(include_in_schema=False)

    @router.get(settings.openapi_path)
    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(_document(request.app, _root(request)))

    @router.get(settings.docs_path)
    async def docs(request: Request) -> HTMLResponse:
        page = _page(request.app, _root(request), settings)
        return HTMLResponse(page, headers={"Content-Security-Policy": _PAGE_POLICY, **_POPUPS})

    @router.get(f"{settings.docs_path}/oauth2-redirect")
    async def oauth2_redirect() -> HTMLResponse:
        return _redirect_page()

    router.mount(f"{settings.docs_path}/static", StaticFiles(directory=_STATIC))
    return router


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _document(app: FastAPI, root: str) -> dict[str, object]:
    document = with_problems(app.openapi())
    name_logins(document, root)
    if root and app.root_path_in_servers:
        others = [server for server in document.get("servers", []) if server.get("url") != root]
        document["servers"] = [{"url": root}, *others]
    return document


def _page(app: FastAPI, root: str, settings: HttpSettings) -> str:
    return _PAGE.format(
        title=escape(app.title),
        static=escape(f"{root}{settings.docs_path}/static"),
        openapi=escape(f"{root}{settings.openapi_path}"),
        redirect=escape(f"{root}{settings.docs_path}/oauth2-redirect"),
        parameters=escape(json.dumps(app.swagger_ui_parameters or {})),
        oauth=escape(json.dumps(app.swagger_ui_init_oauth)),
    )


def _redirect_page() -> HTMLResponse:
    """FastAPI's page where an OAuth provider returns to; its one inline script is allowed by its hash."""
    response = get_swagger_ui_oauth2_redirect_html()
    script = re.findall(rb"<script>(.*?)</script>", bytes(response.body), re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    response.headers["Content-Security-Policy"] = f"default-src 'none'; script-src 'sha256-{digest}'"
    response.headers.update(_POPUPS)
    return response
