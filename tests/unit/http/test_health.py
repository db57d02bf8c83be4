import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import FastAPI

from leyden import Battery, Check, Finding
from leyden.core import Stage
from leyden.core.resources import Resources
from leyden.http import health
from leyden.testing import client

MakeApp = Callable[..., FastAPI]


def checking(run: Callable[[Resources], list[Finding] | AsyncIterator[Finding]], stage: Stage = Stage.READY) -> Battery:
    return Battery(name="checked", checks=(Check(run, (stage,)),))


async def test_it_is_ready_with_warnings_and_with_checks_of_other_stages(make_app: MakeApp) -> None:
    warned = checking(lambda _: [Finding("checked.W001", "Hm.")])
    other = Battery(name="other", checks=(Check(lambda _: [Finding("other.E001", "No.")], (Stage.DEPLOY,)),))
    async with client(make_app(more=(warned, other))) as calling:
        assert (await calling.get("/health/ready")).json() == {"status": "ready"}
        assert (await calling.get("/health/live")).json() == {"status": "live"}


async def test_a_serious_finding_is_named_by_its_id_alone(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    async def down(_resources: Resources) -> AsyncIterator[Finding]:
        yield Finding("checked.E001", "The host db.internal is down.")

    async with client(make_app(more=(checking(down),))) as calling:
        answer = await calling.get("/health/ready")
    assert answer.status_code == 503
    assert [error["code"] for error in answer.json()["errors"]] == ["checked.E001"]
    assert "internal" not in answer.text
    assert "checked.E001" in caplog.text


async def test_a_check_that_hangs_or_fails_is_serious(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_CHECK_DEADLINE", 0.05)

    async def hanging(_resources: Resources) -> AsyncIterator[Finding]:
        await asyncio.sleep(60)
        yield Finding("checked.W001", "never said")

    def failing(_resources: Resources) -> list[Finding]:
        raise OSError("secret")

    for run in (hanging, failing):
        async with client(make_app(more=(checking(run),))) as calling:
            answer = await calling.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["code"] == "http.E001"
        assert "secret" not in answer.text


async def test_without_a_running_lifespan_it_is_alive_but_not_ready(make_app: MakeApp) -> None:
    from httpx2 import ASGITransport, AsyncClient

    async with AsyncClient(transport=ASGITransport(make_app()), base_url="http://localhost") as calling:
        assert (await calling.get("/health/live")).status_code == 200
        assert (await calling.get("/health/ready")).status_code == 503


async def test_probes_may_ask_for_the_headers_alone(make_app: MakeApp) -> None:
    async with client(make_app()) as calling:
        for path in ("/health/live", "/health/ready"):
            assert (await calling.head(path)).status_code == 200
