"""The lines that read the body of a request, as FastAPI does before anything else."""

from leyden.turbo.draft import Draft
from leyden.turbo.plan import Body


def write_body(draft: Draft) -> None:
    """`body` is what was read, `content` its bytes, and `parsed` the same as `body` if it was JSON."""
    body = draft.plan.body
    if body is None:
        return
    line, block = draft.source.line, draft.source.block
    line("body = parsed = UNDEFINED")
    with block("try:"):
        if body.form:
            _write_form(draft, body)
        else:
            _write_json(draft, body)
    with block("except json.JSONDecodeError as wrong:"):
        line(f"raise invalid_json(wrong, {draft.root}, scope) from wrong")
    with block("except HTTPException:"):
        line("raise")
    with block("except Exception as wrong:"):
        line("raise body_failure(wrong, scope) from wrong")


def _write_form(draft: Draft, body: Body) -> None:
    line = draft.source.line
    limits = f"resolve_form_limits(scope.get('fastapi', {{}}), {draft.source.value('LIMITS', body.limits)})"
    line(f"body = await request.form(**{limits})")
    line('scope["fastapi_middleware_astack"].push_async_callback(body.close)')


def _write_json(draft: Draft, body: Body) -> None:
    line, block = draft.source.line, draft.source.block
    kind = 'request.headers.get("content-type")' if draft.given else 'header(scope["headers"], b"content-type")'
    _write_content(draft)
    with block("if content:"):
        with block(f"if is_json({kind}, strict={body.strict}):"):
            line("body = await request.json()" if draft.given else "body = parsed = json.loads(content)")
        with block("else:"):
            line("body = content")


def _write_content(draft: Draft) -> None:
    line, block = draft.source.line, draft.source.block
    if draft.given:
        line("content = await request.body()")
        return
    line("message = await receive()")
    with block('if message["type"] == "http.request" and not message.get("more_body", False):'):
        line('content = b"".join((message.get("body") or b"",))')
    with block("else:"):
        line("request = Request(scope, resumed(message, receive), send)")
        line("content = await request.body()")
