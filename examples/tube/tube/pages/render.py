"""Templates in the reader's language."""

from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import NoMatchFound

from tube.pages.language import COOKIE, TEXTS, language_of
from tube.pages.pictures import hue_of

FOLDER = Path(__file__).parent
LANGUAGES = [(code, texts["language"]) for code, texts in TEXTS.items()]
A_YEAR = 365 * 24 * 3600
# Everything a page shows comes from here, and nothing in it runs: a script that got into a title would be text twice.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def asset(name: str) -> str:
    """The address of a static file; it changes with the file, so that no browser shows an old one."""
    version = blake2b((FOLDER / "static" / name).read_bytes(), digest_size=4).hexdigest()
    return f"/static/{name}?v={version}"


templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters["hue"] = hue_of
templates.globals.update(asset=asset, languages=LANGUAGES)


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page in the language of the request; choosing one in the address is remembered in a cookie."""
    say = language_of(request)
    page = templates.get_template(template).render(say=say, here=partial(_here, request), docs=_docs(request), **values)
    headers = {
        "Content-Language": say.code,
        "Content-Security-Policy": POLICY,
        "Vary": "Accept-Language, Cookie",
    }
    response = HTMLResponse(page, status_code=status, headers=headers)
    if request.query_params.get("lang") == say.code:
        response.set_cookie(COOKIE, say.code, max_age=A_YEAR, httponly=True, samesite="lax")
    return response


def _here(request: Request, **changes: Any) -> str:
    """The address of this page with other parameters; the path stays relative to the host."""
    url = request.url.include_query_params(**changes)
    # One slash only: a browser reads //example.com as another host.
    return f"/{url.path.lstrip('/')}?{url.query}"


def _docs(request: Request) -> str | None:
    """Where the API is documented; nowhere in production."""
    try:
        return str(request.app.url_path_for("docs"))
    except NoMatchFound:
        return None
