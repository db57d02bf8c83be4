"""`leyden run` while it runs: signals, workers, reloading, logs."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

Start = Callable[..., Any]
Call = Callable[..., subprocess.CompletedProcess[str]]

BOOM = '\n\n@app.get("/boom")\nasync def boom(word: str) -> None:\n    raise RuntimeError(word)\n'

SLOW = """

@app.get("/slow")
async def slow() -> str:
    import asyncio

    print("slow begins", flush=True)
    await asyncio.sleep(1.5)
    return "done"
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", [(), ("--no-reload",), ("--workers", "2")])
def test_a_signal_ends_it_with_0(
    call: Call, start: Start, shop: Path, mode: tuple[str, ...], number: signal.Signals
) -> None:
    call("db", "upgrade", cwd=shop)
    run = start(*mode, APP_HTTP__DRAIN_DELAY="0")
    assert httpx2.get(f"{run.url}/health/ready").status_code == 200

    assert run.end(number) == 0
    assert "Traceback" not in run.log
    assert "uvicorn.error" not in run.log
    assert "server  " not in run.log  # which is that logger's name in development


@pytest.mark.parametrize("everybody", [False, True], ids=["parent", "terminal"])
@pytest.mark.parametrize("mode", [("--no-reload",), ("--workers", "2")])
def test_an_interrupt_ends_it_at_once_and_finishes_what_runs(
    call: Call, start: Start, shop: Path, mode: tuple[str, ...], *, everybody: bool
) -> None:
    app = shop / "shop" / "app.py"
    app.write_text(app.read_text() + SLOW)
    call("db", "upgrade", cwd=shop)
    run = start(*mode, APP_HTTP__DRAIN_DELAY="30", APP_ENVIRONMENT="production")
    url = run.url
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(httpx2.get, f"{url}/slow", timeout=30)
        run.wait_for("slow begins")
        begun = time.monotonic()
        (os.killpg if everybody else os.kill)(run.process.pid, signal.SIGINT)

        assert run.ended() == 0
        assert time.monotonic() - begun < 5
        assert slow.result().text == '"done"'


BARE = """
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from leyden import create_app
from leyden.cli import server

server.GRACE = 1  # the default is too long to wait for
app = create_app([], title="Bare")


@app.get("/flood")
async def flood() -> StreamingResponse:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    return StreamingResponse(endless())
"""


@pytest.mark.parametrize("mode", [("--no-reload",), ("--workers", "2")])
def test_without_the_http_battery_a_reader_that_stalls_cannot_keep_it_alive_either(
    start: Start, shop: Path, mode: tuple[str, ...]
) -> None:
    (shop / "shop" / "app.py").write_text(BARE)
    run = start(*mode)
    port = int(run.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stalled:
        stalled.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in stalled.recv(20)
        begun = time.monotonic()

        assert run.end() == 0
        assert time.monotonic() - begun < 10


def test_a_signal_before_it_is_ready_ends_it_with_0(start: Start, shop: Path) -> None:
    (shop / "shop" / "__init__.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    run = start()
    run.wait_for("importing")

    assert run.end() == 0


EARLY = """

import os
import signal
import time
from pathlib import Path

from uvicorn import Server

run_server = Server.run
handler = signal.getsignal(signal.SIGINT)


def run(self, sockets=None):
    if "EARLY" not in os.environ:
        os.environ["EARLY"] = "done"  # also in the process that this one becomes
        assert signal.getsignal(signal.SIGINT) == handler
        while not handler.__self__.seen:
            {early}
            time.sleep(0.2)
        print("early", flush=True)
    run_server(self, sockets)


Server.run = run
"""
"""In the moment in which the server is to run and does not handle signals yet."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_server_handles_them_ends_it_with_0(
    start: Start, shop: Path, number: signal.Signals
) -> None:
    app = shop / "shop" / "app.py"
    app.write_text(app.read_text() + EARLY.format(early=f"os.kill(os.getpid(), {int(number)})"))
    run = start("--no-reload")

    run.wait_for("early")
    assert run.ended() == 0
    assert "Traceback" not in run.log


def test_a_change_before_the_server_handles_signals_reloads_it(start: Start, shop: Path) -> None:
    app = shop / "shop" / "app.py"
    app.write_text(app.read_text() + EARLY.format(early='Path(__file__).with_name("new.py").touch()'))
    run = start()

    run.wait_for("Reloading: shop/new.py changed")
    run.wait_for("Ready again")
    assert run.end() == 0


def test_workers_imply_production_and_say_so(call: Call, start: Start, shop: Path) -> None:
    call("db", "upgrade", cwd=shop)

    run = start("--workers", "2")

    assert httpx2.get(f"{run.url}/docs").status_code == 404
    assert run.log.count("ready at") == 1
    entry = json.loads(run.log.splitlines()[0])
    assert "environment production (implied: several workers" in entry["message"]


def test_workers_of_a_development_app_migrate_once(start: Start) -> None:
    run = start("--workers", "2", APP_ENVIRONMENT="development")

    assert httpx2.get(f"{run.url}/health/ready").status_code == 200
    assert run.log.count("Applied the migrations") == 1


def test_two_starts_at_once_migrate_once(start: Start) -> None:
    runs = [start(), start()]

    assert [httpx2.get(f"{run.url}/health/ready").status_code for run in runs] == [200, 200]
    assert sum(run.log.count("Applied the migrations") for run in runs) == 1
    assert [run.end() for run in runs] == [0, 0]


def test_a_changed_file_is_served_and_no_request_is_refused(start: Start, shop: Path) -> None:
    run = start()
    url = run.url
    app = shop / "shop" / "app.py"
    new = '\n\n@app.get("/new")\nasync def new() -> str:\n    return "new"\n'

    app.write_text(app.read_text() + new)

    run.wait_for("Reloading: shop/app.py changed")
    assert httpx2.get(f"{url}/new", timeout=30).json() == "new"
    assert run.end() == 0


def test_a_mistake_is_told_and_mending_it_is_enough(start: Start, shop: Path) -> None:
    run = start()
    url = run.url
    app = shop / "shop" / "app.py"
    right = app.read_text()

    app.write_text("def app(:\n")
    run.wait_for(r"SyntaxError.*\n(.*\n)*Waiting for a change")
    app.write_text(right)
    run.wait_for("Ready again")

    assert httpx2.get(f"{url}/health/ready", timeout=30).status_code == 200
    assert run.end(signal.SIGINT) == 0


def test_waiting_for_a_change_ends_with_0_as_well(start: Start, shop: Path) -> None:
    run = start()
    assert run.url
    (shop / "shop" / "app.py").write_text("def app(:\n")
    run.wait_for("Waiting for a change")

    assert run.end() == 0


def test_what_the_app_writes_does_not_reload_it(start: Start, shop: Path) -> None:
    run = start()
    url = run.url

    (shop / "var" / "cache.py").write_text("x = 1\n")
    (shop / "migrations" / "0003_draft.txt").write_text("x")

    for _ in range(20):
        assert httpx2.get(f"{url}/health/live").status_code == 200
    assert "Reloading" not in run.log


@pytest.mark.parametrize("environment", ["development", "production"])
def test_an_unhandled_error_is_in_the_log_once_with_its_request(
    call: Call, start: Start, shop: Path, environment: str
) -> None:
    (shop / "shop" / "app.py").write_text((shop / "shop" / "app.py").read_text() + BOOM)
    call("db", "upgrade", cwd=shop)
    run = start("--no-reload", APP_ENVIRONMENT=environment, APP_HTTP__DRAIN_DELAY="0")

    answer = httpx2.get(f"{run.url}/boom", params={"word": "a\n12:00:00 INFO    leyden.run  forged"})

    assert answer.status_code == 500
    assert run.end() == 0
    assert run.log.count("Traceback") == 1
    assert run.log.count(answer.headers["X-Request-ID"]) >= 2
    assert not [line for line in run.log.splitlines() if line.startswith("12:00:00")]


def test_production_logs_are_json_without_queries(call: Call, start: Start, shop: Path) -> None:
    call("db", "upgrade", cwd=shop)
    run = start(APP_ENVIRONMENT="production", APP_HTTP__DRAIN_DELAY="0")

    httpx2.get(f"{run.url}/health/live", params={"token": "secret"})

    assert run.end() == 0
    entries = [json.loads(line) for line in run.log.splitlines()]
    assert "GET /health/live 200" in entries[-1]["message"]
    assert "secret" not in run.log


def test_the_server_does_not_say_what_it_is(start: Start) -> None:
    run = start()

    assert "server" not in httpx2.get(f"{run.url}/health/live").headers


def test_a_crashed_worker_is_replaced(call: Call, start: Start, shop: Path) -> None:
    (shop / "shop" / "app.py").write_text(
        (shop / "shop" / "app.py").read_text()
        + '\n\n@app.get("/pid")\nasync def pid() -> int:\n    import os\n\n    return os.getpid()\n'
    )
    call("db", "upgrade", cwd=shop)
    run = start("--workers", "2", APP_HTTP__DRAIN_DELAY="0")
    victim = httpx2.get(f"{run.url}/pid").json()

    subprocess.run(["kill", "-9", str(victim)], check=True)

    run.wait_for(f"The worker {victim} died, with code -9")
    assert httpx2.get(f"{run.url}/pid", timeout=30).json() != victim
    assert run.end() == 0
