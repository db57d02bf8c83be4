"""Whether OpenTelemetry listens is asked for at each request, and answered as FastAPI would."""

import os
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.telemetry._asgi import NativeTelemetry
from fastapi.testclient import TestClient
from opentelemetry import _logs, metrics, trace

from leyden.turbo import accelerate, internals


class Tracers(trace.NoOpTracerProvider):
    """Set up by somebody, and so no default of OpenTelemetry's."""


class Meters(metrics.NoOpMeterProvider):
    """The same."""


class Loggers(_logs.NoOpLoggerProvider):
    """The same."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What FastAPI's own code has said."""
    said: list[bool] = []
    enabled = NativeTelemetry.enabled

    def note(telemetry: NativeTelemetry) -> bool:
        said.append(enabled(telemetry))
        return said[-1]

    monkeypatch.setattr(NativeTelemetry, "enabled", note)
    return said


def app_of(**options: Any) -> FastAPI:
    app = FastAPI(openapi_url=None, **options)

    @app.get("/")
    async def home() -> str:
        return "hello"

    return accelerate(app)


def test_fastapi_is_not_asked_where_nothing_is_set_up(asked: list[bool]) -> None:
    assert TestClient(app_of()).get("/").json() == "hello"
    assert asked == []


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("opentelemetry.trace", "_TRACER_PROVIDER", Tracers()),
        ("opentelemetry.metrics._internal", "_METER_PROVIDER", Meters()),
        ("opentelemetry._logs._internal", "_LOGGER_PROVIDER", Loggers()),
        ("opentelemetry.trace", "get_tracer_provider", Tracers),
        ("opentelemetry.metrics", "get_meter_provider", Meters),
        ("opentelemetry._logs", "get_logger_provider", Loggers),
    ],
)
def test_it_is_where_something_is_or_a_function_has_been_replaced_also_later(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch, place: str, name: str, value: Any
) -> None:
    client = TestClient(app_of())
    assert client.get("/").json() == "hello"
    monkeypatch.setattr(f"{place}.{name}", value)
    assert client.get("/").json() == "hello"
    assert asked == [True]


@pytest.mark.parametrize(
    ("name", "provider"),
    [("tracer_provider", Tracers()), ("meter_provider", Meters()), ("logger_provider", Loggers())],
)
def test_an_application_may_have_a_provider_of_its_own(asked: list[bool], name: str, provider: Any) -> None:
    assert TestClient(app_of(telemetry={name: provider})).get("/").json() == "hello"
    assert asked == [True]


@pytest.mark.parametrize("name", internals.PROVIDER_VARIABLES)
def test_a_provider_may_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    telemetry = app_of()._native_telemetry
    assert not telemetry.enabled()
    monkeypatch.setenv(name, "there_is_none")
    with pytest.raises(StopIteration):  # OpenTelemetry's own, of a provider that is not installed
        telemetry.enabled()


def test_an_environment_of_another_kind_is_left_to_fastapi(asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(app_of())
    monkeypatch.setattr(os, "environ", {**os.environ})
    assert client.get("/").json() == "hello"
    assert asked == [False]
