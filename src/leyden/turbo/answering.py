"""The lines that call the endpoint, and make of what it returns a response or the two messages of one."""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial

from leyden.turbo import runtime
from leyden.turbo.draft import Draft
from leyden.turbo.plan import Kind


class Answerer:
    """Writes into the draft. `raw` is what the endpoint has returned, `response` what is to be sent of it."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._source = draft.source
        self._plan = draft.plan

    def call(self, values: Mapping[str, str]) -> None:
        call, given = self._draft.call_of(self._plan.root), [f"{name}={value}" for name, value in values.items()]
        if self._plan.root.kind is Kind.AWAITED:
            self._source.line(f"raw = await {call}({', '.join(given)})")
        else:
            self._source.line(f"raw = await run_in_threadpool(partial({', '.join((call, *given))}))")

    def respond(self) -> None:
        """A response in any case."""
        self._take_response()
        with self._source.block("else:"):
            self._make_response()

    def send(self) -> None:
        """Two messages where status and headers are known ahead, else whatever the response sends."""
        block, late = self._source.block, self._plan.may_be_late
        self._take_response()
        if plain := self._plan.answer.plain and not self._plan.tells_response:
            with block("elif late is None:" if late else "else:"):
                self._send_plainly()
        if late or not plain:
            with block("else:"):
                self._make_response()
        if not self._draft.leaves:
            self._send_response()
            return
        with block("if leaving is None or not leaving.used:"):
            self._send_response()
            self._close()
            self._source.line("return")
        self._source.line("leaving.outcome = response")

    def _send_response(self) -> None:
        self._source.line("sending = Sending(send)")
        self._source.line("await response(scope, receive, sending)")

    def _close(self) -> None:
        if self._draft.leaves:
            with self._source.block("if leaving is not None and leaving.used:"):
                self._source.line("await leaving.close()")

    def _take_response(self) -> None:
        with self._source.block("if isinstance(raw, Response):"):
            with self._source.block("if raw.background is None:"):
                self._source.line("raw.background = background")
            self._source.line("response = raw")

    def _send_plainly(self) -> None:
        line, block, status = self._source.line, self._source.block, self._plan.answer.status
        self._write_content(rendered=True)
        with block("if leaving is None or not leaving.used:") if self._draft.leaves else nullcontext():
            line('headers = [(b"content-length", b"%d" % len(content)), JSON_TYPE]')
            line(f'started = {{"type": "http.response.start", "status": {status or 200}, "headers": headers}}')
            line("await send(started)")
            line('await send({"type": "http.response.body", "body": content})')
            if self._plan.uses_background:
                with block("if background is not None:"):
                    line("await background()")
            self._close()
            line("return")
        if self._draft.leaves:
            self._wrap_content()

    @property
    def _arguments(self) -> str:
        return f"**response_arguments({self._plan.answer.status!r}, told, background)"

    def _wrap_content(self) -> None:
        self._source.line(f'response = Response(content=content, media_type="application/json", {self._arguments})')

    def _make_response(self) -> None:
        """One header or the other may still be somebody's wish."""
        line, answer = self._source.line, self._plan.answer
        self._write_content(rendered=False)
        if answer.straight:
            self._wrap_content()
        else:
            made = self._source.value("CLASS", answer.response_class)
            line(f"response = {made}(content, {self._arguments})")
        with self._source.block("if not allowed(response.status_code):"):
            line('response.body = b""')
        with self._source.block("if told is not None:"):
            line("response.headers.raw.extend(told.headers.raw)")

    def _write_content(self, *, rendered: bool) -> None:
        """Of the response: bytes, or what its class renders."""
        answer, source = self._plan.answer, self._source
        if answer.field is None:
            source.line(f"content = {'render' if rendered else 'jsonable'}(raw)")
            return
        self._validate()
        options = ", ".join(f"{name}={source.value('OPTION', value)}" for name, value in answer.options.items())
        serializer = answer.field._type_adapter.serializer  # noqa: SLF001 -- as FastAPI does
        if answer.straight:
            source.line(f"content = {source.value('DUMP', serializer.to_json)}(value, {options})")
        else:
            dumped = f'{source.value("DUMP", serializer.to_python)}(value, mode="json", {options})'
            source.line(f"content = {f'encode({dumped})' if rendered else dumped}")

    def _validate(self) -> None:
        line, block = self._source.line, self._source.block
        field = self._plan.answer.field
        assert field is not None  # noqa: S101 -- who calls this has looked
        if self._plan.root.kind is not Kind.AWAITED:
            validate = self._source.value("VALIDATE", partial(runtime.validated, field))
            line(f"value, wrong = await run_in_threadpool({validate}, raw)")
        else:
            validate = self._source.value("VALIDATE", field._type_adapter.validator.validate_python)  # noqa: SLF001 -- as above
            line("wrong = None")
            with block("try:"):
                line(f"value = {validate}(raw, from_attributes=True)")
            with block("except ValidationError as refusal:"):
                line('wrong = refused(refusal, "response")')
        with block("if wrong:"):
            line(f"raise invalid_answer(wrong, raw, {self._draft.root}, scope)")
