"""Starlette's CORS, whose refusals are problems too."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from leyden.http.errors import CorsRefusedError
from leyden.http.problems import Problems
from leyden.http.settings import HttpSettings

_REFUSED = 400


class Cors(CORSMiddleware):
    def __init__(self, app: ASGIApp, *, settings: HttpSettings, problems: Problems) -> None:
        super().__init__(
            app,
            allow_origins=settings.cors_origins,
            allow_credentials=settings.cors_credentials,
            allow_methods=settings.cors_methods,
            allow_headers=settings.cors_headers,
            expose_headers=(settings.request_id_header,),
        )
        self.problems = problems

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code != _REFUSED:
            return answer
        scope: Scope = {"headers": request_headers.raw}
        refusal = self.problems.response(scope, CorsRefusedError())
        refusal.headers["Vary"] = f"{answer.headers['Vary']}, Accept-Language"
        return refusal
