"""Tube on a live server of its own, migrated first, as somebody would run it."""

import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from leyden.testing import LiveServer

TUBE = Path(__file__).parents[3] / "examples" / "tube"
LEYDEN = Path(sysconfig.get_path("scripts"), "leyden")

Environment = dict[str, str]


@pytest.fixture
def variables() -> Callable[..., Environment]:
    """What a Tube with this database is started with; keywords become APP_... variables."""
    secret = os.urandom(32).hex()

    def of(url: str, **more: Any) -> Environment:
        settings = {f"APP_{name.upper()}": str(value) for name, value in more.items()}
        return {"APP_ENVIRONMENT": "production", "APP_DATA__URL": url, "APP_AUTH__SECRET": secret} | settings

    return of


@pytest.fixture
def leyden() -> Callable[..., str]:
    """Run one command of Leyden in Tube's folder to its end, and return what it wrote."""

    def run(*arguments: str, env: Environment, times: int = 1) -> str:
        with ExitStack() as stack:
            running = [
                stack.enter_context(
                    subprocess.Popen(
                        [LEYDEN, *arguments],
                        cwd=TUBE,
                        env={**os.environ, **env},
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                    )
                )
                for _ in range(times)
            ]
            for process in running:
                stack.callback(process.kill)  # of no consequence for one that has ended
            outputs = [process.communicate(timeout=60)[0] for process in running]
        assert [process.returncode for process in running] == [0] * times, "\n".join(outputs)
        return "\n".join(outputs)

    return run


@pytest.fixture
def serve(leyden: Callable[..., str], variables: Callable[..., Environment]) -> Iterator[Callable[..., LiveServer]]:
    """Migrate the database and serve Tube on it; keywords other than workers become APP_... variables."""
    with ExitStack() as stack:

        def start(url: str, *, workers: int = 1, migrate: bool = True, **more: Any) -> LiveServer:
            env = variables(url, **more)
            if migrate:
                leyden("db", "upgrade", env=env)
            return stack.enter_context(LiveServer(TUBE, workers=workers, env=env))

        yield start


@pytest.fixture(params=[1, 2], ids=["one_worker", "two_workers"])
def workers(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture
def sign_in() -> Callable[..., Any]:
    """Register this address, and give the client the token of a first login; returns the pair of tokens."""

    async def enter(client: httpx2.AsyncClient, email: str, password: str = "a long enough password") -> dict[str, Any]:
        registered = await client.post("/api/auth/register", json={"email": email, "password": password})
        assert registered.status_code == 201, registered.text
        login = await client.post("/api/auth/login", data={"username": email, "password": password})
        assert login.status_code == 200, login.text
        tokens: dict[str, Any] = login.json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        return tokens

    return enter
