"""Promise 16: no naive datetimes, and a clock change in the server's time zone moves nothing."""

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from leyden.testing.services import skip_or_fail

from leyden.testing import LiveServer

TUBE = Path(__file__).parents[3] / "examples" / "tube"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
JUST_BEFORE_THE_CLOCK_GOES_BACK = 1793512798  # 2026-11-01 01:59:58 in New York, daylight saving time
LIFE = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    if not FAKETIME.exists():
        skip_or_fail("libfaketime is not installed (Debian: faketime)")
    env = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": "@2026-11-01 01:59:58",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
        "TZ": "America/New_York",
        "APP_DATA__URL": f"sqlite:///{tmp_path}/tube.db",
        "APP_AUTH__SECRET": os.urandom(32).hex(),
        "APP_AUTH__ACCESS_TTL": f"PT{LIFE}S",
    }
    with LiveServer(TUBE, env=env) as live:
        yield live


def test_a_token_lives_its_seconds_over_the_hour_that_comes_twice_and_every_time_has_its_zone(
    server: LiveServer,
) -> None:
    with httpx2.Client(base_url=server.url) as client:
        account = {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}
        registered = client.post("/api/auth/register", json=account)
        assert registered.status_code == 201, registered.text
        before = time.monotonic()
        login = client.post("/api/auth/login", data={"username": account["email"], "password": account["password"]})
        token = login.json()["access_token"]
        claims = _claims(token)
        assert claims["exp"] - claims["iat"] == LIFE
        assert JUST_BEFORE_THE_CLOCK_GOES_BACK <= claims["iat"] <= JUST_BEFORE_THE_CLOCK_GOES_BACK + 60

        headers = {"Authorization": f"Bearer {token}"}
        _sleep_until(before + LIFE - 1.5)
        assert client.get("/api/auth/me", headers=headers).status_code == 200
        _sleep_until(before + LIFE + 1)
        assert client.get("/api/auth/me", headers=headers).status_code == 401

        times = _times(registered.json())
        assert times
        assert all(re.search(r"(Z|[+-]\d\d:\d\d)$", value) for value in times), times


def _claims(token: str) -> dict[str, int]:
    payload = token.split(".")[1]
    claims: dict[str, int] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _times(document: object) -> list[str]:
    return re.findall(r'"(\d{4}-\d\d-\d\dT[^"]+)"', json.dumps(document))


def _sleep_until(moment: float) -> None:
    time.sleep(max(0, moment - time.monotonic()))
