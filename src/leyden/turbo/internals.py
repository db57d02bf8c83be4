"""All that turbo reads from inside FastAPI and Starlette, and which of their versions it has read."""

import hashlib
import json
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import fastapi
import fastapi.routing
import opentelemetry.metrics
import starlette
from fastapi import APIRouter, FastAPI
from fastapi._body_limit import AppBodyLimitMiddleware, get_body_limit_error
from fastapi._compat import ModelField, field_annotation_is_sequence, get_missing_field_error
from fastapi.dependencies.models import (
    Dependant,
    _get_cache_key,
    _get_oauth_scopes,
    _is_async_gen_callable,
    _is_coroutine_callable,
    _is_gen_callable,
    _is_security_scheme,
)
from fastapi.dependencies.utils import (
    _get_form_models,
    _get_param_aliases,
    _get_param_model,
    _is_json_field,
    _should_embed_body_fields,
    _solve_generator,
    request_body_to_args,
    request_params_to_args,
    solve_dependencies,
)
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import (
    APIRoute,
    _EffectiveRouteContext,
    _extract_endpoint_context,
    _IncludedRouter,
    _resolve_form_limits,
    get_request_handler,
    request_response,
)
from fastapi.telemetry._asgi import ExceptionTelemetryMiddleware, NativeTelemetry
from fastapi.utils import is_body_allowed_for_status_code
from opentelemetry import _logs, trace
from opentelemetry._logs import _internal as _logs_internal
from opentelemetry.metrics import _internal as _metrics_internal
from pydantic_core import PydanticUndefined
from starlette._exception_handler import wrap_app_handling_exceptions
from starlette._utils import get_route_path
from starlette.convertors import FloatConvertor, IntegerConvertor, PathConvertor, StringConvertor, UUIDConvertor
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.routing import PARAM_REGEX, Route

UNDEFINED = PydanticUndefined
cache_key = _get_cache_key
oauth_scopes = _get_oauth_scopes
is_async_generator = _is_async_gen_callable
is_coroutine = _is_coroutine_callable
is_generator = _is_gen_callable
is_security_scheme = _is_security_scheme
form_models = _get_form_models
param_aliases = _get_param_aliases
param_model = _get_param_model
is_json_field = _is_json_field
should_embed = _should_embed_body_fields
solve_generator = _solve_generator
endpoint_context = _extract_endpoint_context
resolve_form_limits = _resolve_form_limits
IncludedRouter = _IncludedRouter
RouteInclusion = _EffectiveRouteContext
INNER_STACK, FUNCTION_STACK = "fastapi_inner_astack", "fastapi_function_astack"
FILE_STACK = "fastapi_middleware_astack"
"""Under these names FastAPI's stacks are in the scope."""

__all__ = [
    "COMPILED",
    "CONVERTORS",
    "FILE_STACK",
    "FUNCTION_STACK",
    "INNER_STACK",
    "LAYERS",
    "MAX_BODY_SIZE_SCOPE_KEY",
    "METHODS",
    "ONE_SEGMENT",
    "PARAMETER",
    "PROVIDERS",
    "PROVIDER_VARIABLES",
    "ROUTING",
    "UNDEFINED",
    "APIRoute",
    "Dependant",
    "FastAPI",
    "IncludedRouter",
    "ModelField",
    "NativeTelemetry",
    "RouteInclusion",
    "ServerErrorMiddleware",
    "cache_key",
    "cookie_parser",
    "endpoint_context",
    "field_annotation_is_sequence",
    "form_models",
    "get_body_limit_error",
    "get_missing_field_error",
    "get_route_path",
    "handler_variables",
    "is_async_generator",
    "is_body_allowed_for_status_code",
    "is_coroutine",
    "is_generator",
    "is_json_field",
    "is_security_scheme",
    "logs_module",
    "metrics_module",
    "oauth_scopes",
    "param_aliases",
    "param_model",
    "request_body_to_args",
    "request_params_to_args",
    "request_response",
    "resolve_form_limits",
    "should_embed",
    "solve_dependencies",
    "solve_generator",
    "telemetry_replaced",
    "trace",
    "why_replaced",
    "why_unknown",
    "wrap_app_handling_exceptions",
]

KNOWN = {
    "e26b42bb": "FastAPI 0.165.0 with Starlette 1.10.0",
}
"""By the beginning of the hash of what is read."""

_READ = {
    fastapi: (
        "_body_limit.py",
        "_compat/shared.py",
        "_compat/v2.py",
        "applications.py",
        "dependencies/models.py",
        "dependencies/utils.py",
        "encoders.py",
        "middleware/asyncexitstack.py",
        "routing.py",
        "telemetry/_api.py",
        "telemetry/_asgi.py",
    ),
    starlette: (
        "_exception_handler.py",
        "_utils.py",
        "applications.py",
        "background.py",
        "concurrency.py",
        "convertors.py",
        "datastructures.py",
        "middleware/errors.py",
        "middleware/exceptions.py",
        "requests.py",
        "responses.py",
        "routing.py",
    ),
}


@cache
def fingerprint() -> str:
    """Of the files whose behaviour is compiled."""
    digest = hashlib.sha256()
    for package, names in _READ.items():
        for name in names:
            digest.update((Path(package.__path__[0]) / name).read_bytes())
    return digest.hexdigest()[:8]


def why_unknown() -> str | None:
    """In a sentence, if this FastAPI is none that turbo knows."""
    if fingerprint() in KNOWN:
        return None
    return (
        f"FastAPI {version('fastapi')} with Starlette {version('starlette')} is not known to turbo, which knows "
        f"{', '.join(KNOWN.values())}. FastAPI itself serves every request: the same answers, only slower."
    )


def _inner(function: Any, name: str) -> CodeType | None:
    """The code of the function that this one makes."""
    made = (constant for constant in function.__code__.co_consts if isinstance(constant, CodeType))
    return next((code for code in made if code.co_name == name), None)


_APP = _inner(request_response, "app")
_HANDLER = _inner(get_request_handler, "app")


def handler_variables(app: Any) -> Mapping[str, Any] | None:
    """What FastAPI's own handler of a route was made with; None for one that is not FastAPI's own."""
    outer = _variables(app, _APP)
    return None if outer is None else _variables(outer.get("f"), _HANDLER)


def _variables(function: Any, code: CodeType | None) -> Mapping[str, Any] | None:
    if type(function) is not FunctionType or function.__code__ is not code or code is None:
        return None
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells}


metrics_module, logs_module = _metrics_internal, _logs_internal
"""Where OpenTelemetry keeps its providers; that of tracers is in `trace`."""
PROVIDERS = ("tracer_provider", "meter_provider", "logger_provider")
"""Under these names an application of FastAPI's has its own."""
PROVIDER_VARIABLES = tuple([f"OTEL_PYTHON_{name.upper()}" for name in PROVIDERS])


def _getters() -> tuple[Any, ...]:
    return trace.get_tracer_provider, opentelemetry.metrics.get_meter_provider, _logs.get_logger_provider


_STOCK_GETTERS = _getters()


def telemetry_replaced() -> bool:
    """Whether a tool has put functions of its own where FastAPI asks for what listens."""
    return _getters() != _STOCK_GETTERS


PARAMETER = PARAM_REGEX
ONE_SEGMENT = (StringConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor)
CONVERTORS = (*ONE_SEGMENT, PathConvertor)

LAYERS = (
    ServerErrorMiddleware,
    ExceptionTelemetryMiddleware,
    AppBodyLimitMiddleware,
    ExceptionMiddleware,
    AsyncExitStackMiddleware,
)
"""Around the router of an app that has no middleware of its own, the outermost first."""

ROUTING: Mapping[str, Any] = vars(fastapi.routing)

_FOR_EACH = (
    "get_telemetry_data",
    "jsonable_encoder",
    "run_endpoint_function",
    "serialize_response",
    "solve_dependencies",
)
COMPILED = {name: ROUTING[name] for name in _FOR_EACH}
"""Functions that compiled routes stand for, and that are looked at for each request: somebody may have replaced them."""

METHODS: tuple[tuple[Any, str, Any], ...] = (
    (JSONResponse, "render", JSONResponse.render),
    (Response, "init_headers", Response.init_headers),
    (json, "dumps", json.dumps),
    (Request, "body", Request.body),
    (Request, "json", Request.json),
)
"""The same, of classes and modules."""

_STOOD_FOR: Mapping[Any, tuple[str, ...]] = {
    fastapi.routing: (
        *_FOR_EACH,
        "_build_response_args",
        "_extract_endpoint_context",
        "_run_sync_endpoint",
        "get_request_handler",
        "is_body_allowed_for_status_code",
        "request_response",
        "run_in_threadpool",
        "wrap_app_handling_exceptions",
    ),
    sys.modules["fastapi.dependencies.utils"]: (
        "_solve_generator",
        "_validate_value_with_model_field",
        "request_body_to_args",
        "request_params_to_args",
        "run_in_threadpool",
    ),
    APIRoute: ("handle", "matches"),
    APIRouter: ("app", "handle", "matches"),
    JSONResponse: ("__init__", "render"),
    Request: ("__init__", "body", "form", "json", "stream"),
    Response: ("__call__", "__init__", "init_headers", "render"),
    Route: ("handle", "matches"),
    json: ("dumps", "loads"),
}
"""All that compiled routes stand for; most of it is looked at when routes are compiled."""

_SHIPPED = tuple([str(Path(package.__path__[0])) for package in (fastapi, starlette, json)])


def why_replaced() -> str | None:
    """In a few words, if somebody has put a function in the place of one that compiled routes stand for."""
    for owner, names in _STOOD_FOR.items():
        for name in names:
            found = getattr(owner, name)
            if type(found) is not FunctionType or not found.__code__.co_filename.startswith(_SHIPPED):
                return f"{owner.__name__}.{name} has been replaced"
    return None
