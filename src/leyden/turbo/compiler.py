"""From a plan to one coroutine function, written for this route alone."""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, Final

from fastapi.background import BackgroundTasks
from fastapi.encoders import jsonable_encoder
from fastapi.security import SecurityScopes
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leyden.turbo import internals, json_answers, late, runtime
from leyden.turbo.answering import Answerer
from leyden.turbo.bodies import write_body
from leyden.turbo.draft import Draft
from leyden.turbo.leaving import Leaving
from leyden.turbo.plan import RoutePlan
from leyden.turbo.solving import Solver

NAMES: Final[Mapping[str, Any]] = {
    "BackgroundTasks": BackgroundTasks,
    "HTTPException": HTTPException,
    "JSONResponse": JSONResponse,
    "JSON_TYPE": (b"content-type", b"application/json"),
    "Late": late.Late,
    "Leaving": Leaving,
    "Raised": runtime.Raised,
    "Request": Request,
    "ROUTING": internals.ROUTING,
    "Response": Response,
    "SecurityScopes": SecurityScopes,
    "Sending": runtime.Sending,
    "UNDEFINED": internals.UNDEFINED,
    "UNSET": late.UNSET,
    "ValidationError": ValidationError,
    "allowed": internals.is_body_allowed_for_status_code,
    "body_failure": runtime.body_failure,
    "completed": runtime.completed,
    "cookies": runtime.cookies,
    "deepcopy": deepcopy,
    "encode": json_answers.encode,
    "header": runtime.header,
    "header_list": runtime.header_list,
    "invalid": runtime.invalid,
    "invalid_answer": runtime.invalid_answer,
    "invalid_json": runtime.invalid_json,
    "is_json": runtime.is_json,
    "json": json,
    "jsonable": jsonable_encoder,
    "missing": internals.get_missing_field_error,
    "partial": partial,
    "query_pairs": runtime.query_pairs,
    "read_body_by_fastapi": internals.request_body_to_args,
    "read_by_fastapi": internals.request_params_to_args,
    "refused": runtime.refused,
    "render": json_answers.render,
    "resolve_form_limits": internals.resolve_form_limits,
    "response_arguments": runtime.response_arguments,
    "resumed": runtime.resumed,
    "run_in_threadpool": run_in_threadpool,
    "solve_generator": internals.solve_generator,
    "sub_response": runtime.sub_response,
}


class RouteCompiler:
    """Writes the function of one route.

    It is `route(scope, receive, send, stock, back)`: `stock` serves what it must not touch, `back` takes its errors to
    FastAPI's handlers. Where dependencies are left after the response, FastAPI's own code enters and leaves their stacks
    around a handler.
    """

    def __init__(self, plan: RoutePlan) -> None:
        self._plan = plan
        self._draft = Draft(plan, NAMES)
        self._source = self._draft.source
        self._answerer = Answerer(self._draft)

    def compile(self) -> tuple[Callable[..., Any], str]:
        """The function, and its source."""
        if not self._plan.stacked:
            self._write_application()
            return self._source.function("route"), str(self._source)
        self._write_handler()
        handler = self._source.function("handler")
        with self._source.block("async def route(scope, receive, send, stock, back):"):
            self._guard()
            wrapped = self._source.value("HANDLED", internals.request_response(handler))
            self._source.line(f"await {wrapped}(scope, receive, send)")
        return self._source.function("route"), str(self._source)

    def _write_handler(self) -> None:
        line = self._source.line
        with self._source.block("async def handler(request):"):
            line("scope = request.scope")
            line("late = None")
            self._call_endpoint()
            self._answerer.respond()
            line("return response")

    def _write_application(self) -> None:
        line, block = self._source.line, self._source.block
        with block("async def route(scope, receive, send, stock, back):"):
            self._guard()
            line("started = sending = request = late = leaving = content = None")
            with block("try:"):
                if self._draft.given:
                    line("request = Request(scope, receive, send)")
                if self._plan.tells_connection:
                    line("leaving = Leaving(request)")
                self._call_endpoint()
                self._answerer.send()
            if self._draft.leaves:
                self._leave()
            else:
                with block("except Exception as error:"):
                    self._go_back()

    def _call_endpoint(self) -> None:
        write_body(self._draft)
        self._answerer.call(Solver(self._draft).solve())

    def _guard(self) -> None:
        """Where somebody has replaced a function since, or overrides a dependency, FastAPI serves."""
        draft = self._draft
        changed = list(self._replaced())
        changed += [f"{draft.dependant_of(node)}.call is not {draft.call_of(node)}" for node in self._plan.nodes]
        if self._plan.overrides is not None:
            changed.append(f"{self._draft.overrides}.dependency_overrides")
        self._source.line("if (")
        for number, condition in enumerate(changed):
            self._source.line(f"    {'or ' if number else ''}{condition}")
        with self._source.block("):"):
            self._source.line("return await stock(scope, receive, send)")

    def _replaced(self) -> Iterator[str]:
        """Tools and tests put functions of their own in the places of FastAPI's."""
        for name, function in internals.COMPILED.items():
            yield f"ROUTING[{name!r}] is not {self._source.value('STOCK', function)}"
        for owner, name, function in internals.METHODS:
            if owner is not Request or self._plan.body:
                yield f"{owner.__name__}.{name} is not {self._source.value('STOCK', function)}"

    def _go_back(self) -> None:
        """With the error, to the handlers that FastAPI would have asked."""
        line, block = self._source.line, self._source.block
        with block("if started is None and sending is not None:"):
            line("started = sending.started")
        line(f"raised = Raised(error, {self._draft.request}, started)")
        if self._draft.leaves:
            with block("if leaving is not None and leaving.used:"):
                line("leaving.outcome = raised if sending is not None or started is not None else error")
                line("return await back(leaving.ending, started, scope, receive, send)")
        line("return await back(raised, started, scope, receive, send)")

    def _leave(self) -> None:
        """Where something was entered, what interrupts the route has to pass it."""
        line, block = self._source.line, self._source.block
        with block("except BaseException as error:"):
            with block("if not isinstance(error, Exception) and (leaving is None or not leaving.used):"):
                line("raise")
            self._go_back()
        line("await back(leaving.ending, None, scope, receive, send)")
