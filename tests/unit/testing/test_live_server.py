"""A live server really runs in processes of its own, and is really gone afterwards."""

import os
import signal
import time
from pathlib import Path

import pytest

from leyden.testing import LiveServer
from leyden.testing.live_server import ServerFailedError
from leyden.testing.processes import alive

APP = """
import asyncio, os
from fastapi import FastAPI

app = FastAPI()

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

@app.get("/mood")
async def mood() -> str:
    return os.environ.get("MOOD", "none")

@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.5)
    return "done"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "demo.py").write_text(APP)
    return tmp_path


async def test_one_worker_serves_and_ends_when_it_is_asked_to(folder: Path) -> None:
    with LiveServer(folder, app="demo:app", env={"MOOD": "happy"}) as server:
        async with server.client() as http:
            assert (await http.get("/pid")).json() == server.pid
            assert (await http.get("/mood")).json() == "happy"
        assert server.workers() == [server.pid]
        stopped = server.stop()
        assert stopped.code in (0, -signal.SIGTERM, 143)
        assert stopped.seconds < 5
        assert "Uvicorn running" in server.log
        with pytest.raises(ServerFailedError, match="not running"):
            server.stop()


async def test_two_workers_share_the_port_and_a_killed_one_is_replaced(folder: Path) -> None:
    with LiveServer(folder, app="demo:app", workers=2) as server:
        before = server.workers()
        assert len(before) == 2
        killed = server.kill_worker()
        assert killed == before[0]
        async with server.client() as http:
            assert (await http.get("/pid")).json() == before[1]
        after = server.wait_for_workers()
        assert len(after) == 2
        assert killed not in after


async def test_killing_leaves_no_process_and_restarting_keeps_the_address(folder: Path) -> None:
    with LiveServer(folder, app="demo:app", workers=2) as server:
        url, first = server.url, [server.pid, *server.workers()]
        server.kill()
        assert not any(alive(pid) for pid in first)
        server.restart()
        assert server.url == url
        second = [server.pid, *server.workers()]
        assert not set(first) & set(second)
        async with server.client() as http:
            assert (await http.get("/pid")).status_code == 200
    assert not any(alive(pid) for pid in second)


def test_an_app_that_cannot_start_fails_at_once_with_its_log(folder: Path) -> None:
    (folder / "demo.py").write_text("raise RuntimeError('no coffee')")
    before = time.monotonic()
    with pytest.raises(ServerFailedError, match="no coffee"), LiveServer(folder, app="demo:app"):
        pytest.fail("must not start")
    assert time.monotonic() - before < 20


def test_a_server_that_is_never_ready_is_ended_at_the_deadline(folder: Path) -> None:
    (folder / "demo.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)")
    with (
        pytest.raises(ServerFailedError, match=r"not ready within 2 s"),
        LiveServer(folder, app="demo:app", deadline=2),
    ):
        pytest.fail("must not start")
    assert not alive(int((folder / "pid").read_text()))


def test_nothing_is_left_when_the_test_itself_fails(folder: Path) -> None:
    pids: list[int] = []

    def failing_test() -> None:
        with LiveServer(folder, app="demo:app", workers=2) as server:
            pids.extend((server.pid, *server.workers()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_test()
    assert len(pids) == 3
    assert not any(map(alive, pids))


def test_our_own_process_is_alive_and_a_made_up_one_is_not() -> None:
    assert alive(os.getpid())
    assert not alive(2**22 + 1)


PROJECT = """
import os
from leyden import create_app, http

app = create_app([http.battery(http.HttpSettings(drain_delay=0))])

@app.get("/pid")
async def pid() -> int:
    return os.getpid()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "shop:app"\n')
    (tmp_path / "shop.py").write_text(PROJECT)
    return tmp_path


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_project_is_served_by_leyden_run_and_stops_in_order(project: Path, workers: int) -> None:
    with LiveServer(project, workers=workers) as server:
        pids = server.workers()
        assert len(pids) == workers
        async with server.client() as http:
            assert (await http.get("/health/ready")).status_code == 200
            assert (await http.get("/pid")).json() in pids
        stopped = server.stop()
        assert stopped.code == 0
        assert not any(map(alive, pids))
