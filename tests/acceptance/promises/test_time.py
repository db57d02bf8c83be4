"""Promise 16: no naive datetimes, and a clock change in the server's time zone moves nothing."""

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import pytest

from leyden.testing import LiveServer
from leyden.testing.services import skip_or_fail

TUBE = Path(__file__).parents[3] / "examples" / "tube"
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
THE_CLOCK_GOES_BACK = 1793512800  # 2026-11-01 02:00 in New York, which is 01:00 again
LIFE = 5


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[LiveServer]]:
    """One with one worker and one with two, at the same time: most of this test is waiting."""
    if FAKETIME is None:
        skip_or_fail("libfaketime is not installed (Debian: faketime)")
    env = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": "@2026-11-01 01:59:46",  # time enough to start, also on a busy machine
        "FAKETIME_DONT_RESET": "1",
        "TZ": "America/New_York",
        "APP_AUTH__SECRET": os.urandom(32).hex(),
        "APP_AUTH__ACCESS_TTL": f"PT{LIFE}S",
    }
    with ExitStack() as stack, ThreadPoolExecutor() as threads:

        def serve(workers: int) -> LiveServer:
            own = {"APP_ENVIRONMENT": "development", "APP_DATA__URL": f"sqlite:///{tmp_path}/{workers}.db"}
            live = stack.enter_context(LiveServer(TUBE, workers=workers, env=env | own))
            stack.callback(live.stop)  # killed, it would leave libfaketime's shared memory behind
            return live

        yield list(threads.map(serve, (1, 2)))


def test_a_token_lives_its_seconds_over_the_hour_that_comes_twice_and_every_time_has_its_zone(
    servers: list[LiveServer],
) -> None:
    with ThreadPoolExecutor() as threads:
        list(threads.map(_lives_its_seconds, servers))


def _lives_its_seconds(server: LiveServer) -> None:
    # A connection for each request, which any of the workers may take.
    with httpx2.Client(base_url=server.url, limits=httpx2.Limits(max_keepalive_connections=0)) as client:
        account = {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}
        registered = client.post("/api/auth/register", json=account)
        assert registered.status_code == 201, registered.text
        _sleep_until_its_clock_says(client, THE_CLOCK_GOES_BACK - 2)
        before = time.monotonic()
        login = client.post("/api/auth/login", data={"username": account["email"], "password": account["password"]})
        after = time.monotonic()
        claims = _claims(login.json()["access_token"])
        assert claims["exp"] - claims["iat"] == pytest.approx(LIFE)
        assert 0 <= claims["iat"] - (THE_CLOCK_GOES_BACK - 2) < 60

        headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
        _sleep_until(before + LIFE - 2)
        living = client.get("/api/auth/me", headers=headers).status_code
        assert living == 200 or time.monotonic() > before + LIFE  # a busy machine may have asked too late
        _sleep_until(after + LIFE)
        assert client.get("/api/auth/me", headers=headers).status_code == 401

        times = _times(registered.json())
        assert times
        assert all(re.search(r"(Z|[+-]\d\d:\d\d)$", value) for value in times), times


def _sleep_until_its_clock_says(client: httpx2.Client, moment: int) -> None:
    while parsedate_to_datetime(client.get("/health/live").headers["date"]).timestamp() < moment:
        time.sleep(0.1)


def _claims(token: str) -> dict[str, float]:
    payload = token.split(".")[1]
    claims: dict[str, float] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _times(document: object) -> list[str]:
    return re.findall(r'"(\d{4}-\d\d-\d\dT[^"]+)"', json.dumps(document))


def _sleep_until(moment: float) -> None:
    time.sleep(max(0, moment - time.monotonic()))
