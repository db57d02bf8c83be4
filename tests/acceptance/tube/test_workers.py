"""A worker that dies while the database is away is replaced when it is back, and the others serve on."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from leyden.testing import LiveServer


def test_a_worker_that_cannot_be_replaced_yet_does_not_end_the_others(
    serve: Callable[..., LiveServer], tmp_path: Path
) -> None:
    file, away = tmp_path / "tube.db", tmp_path / "away.db"
    server = serve(f"sqlite:///{file}", workers=2)
    file.rename(away)
    killed = server.kill_worker()
    wait_for(lambda: "could not start; another one tries" in server.log, server)
    assert httpx2.get(f"{server.url}/health/live").status_code == 200
    away.rename(file)
    workers = server.wait_for_workers()
    assert len(workers) == 2
    assert killed not in workers


def wait_for(done: Callable[[], bool], server: LiveServer) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, server.log
        time.sleep(0.1)
