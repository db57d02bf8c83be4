import json
import logging
from collections.abc import Callable, Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, FastAPI, HTTPException
from pydantic import BaseModel, Field, field_validator

from leyden import Battery, LeydenError
from leyden.core.errors import ConfigurationError, FieldError, OverloadedError
from leyden.http import Problem
from leyden.testing import client

MakeApp = Callable[..., FastAPI]
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}


class TakenError(LeydenError):
    """{name} is taken already."""

    status = 409
    code = "taken"


class BrokenBackendError(LeydenError):
    """The backend is away."""

    status = 503
    code = "backend_away"


class Colour(StrEnum):
    RED = "red"


class Thing(BaseModel):
    name: str = Field(max_length=3)
    size: Annotated[int, Field(gt=0)] = 1
    colour: Colour = Colour.RED
    password: str = "long enough"

    @field_validator("password")
    @classmethod
    def _long(cls, value: str) -> str:
        if len(value) < 8:
            raise ValueError("must be longer")
        return value


def raising(app: FastAPI, error: Exception) -> FastAPI:
    @app.get("/raise")
    async def endpoint() -> None:
        raise error

    return app


async def problem(app: FastAPI, *, headers: dict[str, str] | None = None, path: str = "/raise") -> dict[str, Any]:
    async with client(app, raise_app_exceptions=False) as calling:
        answer = await calling.get(path, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    content: dict[str, Any] = answer.json()
    Problem.model_validate(content)
    assert content["status"] == answer.status_code
    assert content["request_id"] == answer.headers["x-request-id"]
    return content


async def test_an_unhandled_error_is_logged_once_and_told_to_nobody(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    content = await problem(raising(make_app(), RuntimeError("the secret")))
    assert (content["status"], content["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(content)
    [record] = [record for record in caplog.records if record.name == "leyden.http"]
    assert content["request_id"] in record.getMessage()
    assert record.exc_info is not None


async def test_an_unhandled_error_goes_on_to_the_server(make_app: MakeApp) -> None:
    app = raising(make_app(), RuntimeError("the secret"))
    async with client(app) as calling:
        with pytest.raises(RuntimeError, match="the secret"):
            await calling.get("/raise")


@pytest.mark.parametrize("status", [500, 502, 503, 599])
async def test_details_of_server_errors_go_to_the_log_alone(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    content = await problem(raising(make_app(), HTTPException(status, detail="the secret")))
    assert content["status"] == status
    assert "secret" not in json.dumps(content)
    assert "the secret" in caplog.text
    assert content["request_id"] in caplog.text


async def test_details_of_client_errors_are_shown_as_they_were_written(make_app: MakeApp) -> None:
    content = await problem(raising(make_app(), HTTPException(409, detail="Somebody was faster.")), headers=CHINESE)
    assert (content["detail"], content["code"], content["title"]) == ("Somebody was faster.", "conflict", "冲突")


async def test_a_detail_that_is_no_sentence_is_data(make_app: MakeApp) -> None:
    content = await problem(raising(make_app(), HTTPException(400, detail={"left": 3})))
    assert content["data"] == {"left": 3}
    assert content["detail"] == "The request could not be understood."


class Rude:
    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("detail", "data"),
    [
        ({"left": float("nan")}, None),
        ({"left": float("inf")}, None),
        ({("a", "b"): 1}, None),
        ({"picture": b"\xff"}, None),
        ({"rude": Rude()}, None),
        ({7: "seven"}, {"7": "seven"}),
        ({"until": date(2024, 2, 29)}, {"until": "2024-02-29"}),
    ],
)
async def test_data_that_json_cannot_say_is_left_out_and_the_rest_is_told(
    make_app: MakeApp, detail: Any, data: Any
) -> None:
    content = await problem(raising(make_app(), HTTPException(409, detail=detail)))
    assert (content["status"], content.get("data")) == (409, data)


async def test_headers_of_an_error_are_kept_except_those_of_another_body(make_app: MakeApp) -> None:
    error = HTTPException(429, headers={"retry-after": "3", "content-type": "text/plain", "content-length": "1"})
    async with client(raising(make_app(), error)) as calling:
        answer = await calling.get("/raise")
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_may_have_no_body_has_none(make_app: MakeApp, status: int) -> None:
    async with client(raising(make_app(), HTTPException(status))) as calling:
        answer = await calling.get("/raise")
    assert (answer.status_code, answer.content) == (status, b"")
    assert "content-type" not in answer.headers


async def test_the_answer_to_head_has_the_headers_and_no_body(make_app: MakeApp) -> None:
    async with client(make_app()) as calling:
        answer = await calling.head("/api/nowhere")
    assert (answer.status_code, answer.content) == (404, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_our_errors_speak_the_language_asked_for(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "zh.toml").write_text('taken = "{name} 已被使用"\n[fields]\nused = "已被使用"\n')
    error = TakenError(name="ann", fields=[FieldError("body.name", "used", "Used already.")])
    app = raising(make_app(more=(Battery(name="names", locales=tmp_path),)), error)
    english, chinese = await problem(app), await problem(app, headers=CHINESE)
    assert (english["code"], english["detail"]) == ("taken", "ann is taken already.")
    assert english["errors"] == [{"field": "body.name", "code": "used", "message": "Used already."}]
    assert (chinese["detail"], chinese["title"]) == ("ann 已被使用", "冲突")
    assert chinese["errors"][0]["message"] == "已被使用"


async def test_a_catalogue_in_the_settings_adds_a_language(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_text('not_found = "Hier ist nichts."\n')
    async with client(make_app(locales=(tmp_path,), language="de")) as calling:
        answer = await calling.get("/nowhere")
    assert answer.json()["detail"] == "Hier ist nichts."
    assert answer.headers["content-language"] == "de"
    assert "Accept-Language" in answer.headers["vary"]


async def test_a_broken_catalogue_of_a_battery_stops_the_start(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "zh.toml").write_text("broken")
    with pytest.raises(ConfigurationError, match="no valid TOML"):
        async with client(make_app(more=(Battery(name="names", locales=tmp_path),))):
            pass


@pytest.mark.parametrize(
    ("error", "status", "code", "detail"),
    [
        (OverloadedError(), 503, "overloaded", "The service is busy. Try again in a moment."),
        (OverloadedError("pool at /srv/secret"), 503, "overloaded", "The service is busy. Try again in a moment."),
        (BrokenBackendError("secret host"), 503, "backend_away", "The service is busy. Try again in a moment."),
        (TakenError("Your own sentence."), 409, "taken", "Your own sentence."),
        (
            ConfigurationError("the secret"),
            500,
            "internal_error",
            "Something went wrong. The log entry with this request id says what.",
        ),
    ],
)
async def test_our_server_errors_show_their_fixed_sentence_alone(
    make_app: MakeApp, error: LeydenError, status: int, code: str, detail: str
) -> None:
    content = await problem(raising(make_app(), error))
    assert (content["status"], content["code"], content["detail"]) == (status, code, detail)


def with_things(app: FastAPI) -> FastAPI:
    router = APIRouter()

    @router.post("/things")
    async def make(thing: Thing, page: int = 1) -> int:
        return thing.size + page

    @router.post("/text")
    async def text(text: Annotated[str, Body()]) -> str:
        return text

    app.include_router(router)
    return app


async def test_invalid_input_is_told_by_field_in_english(make_app: MakeApp) -> None:
    async with client(with_things(make_app())) as calling:
        answer = await calling.post("/things?page=x", json={"name": "long", "size": 0, "password": "hunter2"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_failed"
    told = {error["field"]: (error["code"], error["message"]) for error in answer.json()["errors"]}
    assert told == {
        "query.page": ("int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
        "body.name": ("string_too_long", "String should have at most 3 characters"),
        "body.size": ("greater_than", "Input should be greater than 0"),
        "body.password": ("value_error", "must be longer"),
    }
    assert "hunter2" not in answer.text


async def test_invalid_input_is_told_by_field_in_chinese(make_app: MakeApp) -> None:
    async with client(with_things(make_app()), headers=CHINESE) as calling:
        answer = await calling.post("/things", json={"name": "long", "size": 0, "colour": "x", "password": "hunter2"})
    told = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert told == {
        "body.name": "最多应有 3 个字符",
        "body.size": "应大于 0",
        "body.colour": "应为 'red'",
        "body.password": "must be longer",
    }
    assert answer.json()["title"] == "输入无效"


@pytest.mark.parametrize(
    "body", [b"{", b'{"name": ', b"\xff\xfe", b"", b"[" * 100_000, b'{"\\ud800": 1, "name": "\\ud800"}']
)
async def test_a_body_that_cannot_be_read_is_a_problem(make_app: MakeApp, body: bytes) -> None:
    async with client(with_things(make_app())) as calling:
        answer = await calling.post("/things", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_field_named_by_half_a_surrogate_pair_can_be_told(make_app: MakeApp) -> None:
    class Closed(BaseModel, extra="forbid"):
        pass

    app = make_app()

    @app.post("/closed")
    async def closed(_body: Closed) -> None:
        return None

    async with client(app) as calling:
        answer = await calling.post("/closed", content=b'{"\\ud800": 1}', headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_a_million_mistakes_are_not_a_million_lines(make_app: MakeApp) -> None:
    app = make_app()

    @app.post("/numbers")
    async def numbers(_numbers: list[int]) -> None:
        return None

    async with client(app) as calling:
        answer = await calling.post("/numbers", json=["x"] * 10_000)
    assert len(answer.json()["errors"]) == 100


async def test_a_wrong_response_is_logged_without_its_values(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @app.get("/wrong", response_model=Thing)
    async def wrong() -> dict[str, str]:
        return {"name": "the secret"}

    with caplog.at_level(logging.ERROR):
        content = await problem(app, path="/wrong")
    assert content["code"] == "internal_error"
    assert "response.name: string_too_long" in caplog.text
    assert "the secret" not in caplog.text


async def test_method_not_allowed_says_what_is(make_app: MakeApp) -> None:
    async with client(with_things(make_app())) as calling:
        answer = await calling.get("/things")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["code"] == "method_not_allowed"


async def test_handlers_of_the_app_itself_stay_its_own(make_app: MakeApp) -> None:
    async def mine(_request: object, _error: Exception) -> object:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse("mine", 418)

    app = raising(make_app(fastapi={"exception_handlers": {HTTPException: mine}}), HTTPException(404))
    async with client(app) as calling:
        assert (await calling.get("/raise")).status_code == 418
