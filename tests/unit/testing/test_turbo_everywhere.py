"""The plugin that accelerates every app, as a suite sees it that knows nothing of turbo."""

import json
import os
import subprocess
import sys
from pathlib import Path

SUITE = """
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse


class Derived(FastAPI):
    pass


def serve(app, path, status=200):
    app.get("/compiled/{number}")(read)
    assert TestClient(app).get(path).status_code == status


async def read(number: int, add: int = 0) -> int:
    return number + add


def test_a_route_and_what_it_refuses():
    serve(FastAPI(), "/compiled/1?add=2")
    serve(FastAPI(), "/compiled/one", 422)


def test_what_is_no_route_of_fastapis_is_not_counted():
    serve(FastAPI(), "/nowhere", 404)
    serve(FastAPI(), "/openapi.json")
    app = FastAPI()
    app.router.add_route("/plain", lambda request: PlainTextResponse("hello"))
    serve(app, "/plain")


def test_one_that_is_not_compiled():
    app = FastAPI()

    @app.get("/stream")
    async def stream():
        yield "one"

    serve(app, "/stream")


def test_an_override():
    app = FastAPI()
    app.dependency_overrides[read] = read
    serve(app, "/compiled/1")


def test_a_class_of_its_own():
    serve(Derived(), "/compiled/1")


def test_an_app_in_an_app_is_counted_once():
    app, inner = FastAPI(), FastAPI()
    inner.get("/compiled/{number}")(read)
    app.mount("/inner", inner)
    assert TestClient(app).get("/inner/compiled/1").json() == 1
"""


def test_it_accelerates_and_counts(tmp_path: Path) -> None:
    (tmp_path / "test_apps.py").write_text(SUITE)
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pytest", "-p", "leyden.testing.turbo_everywhere", f"--turbo-report={report}"]

    for extra in ([], ["--numprocesses=2"]):
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *extra],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(report.read_text()) == {
            "compiled": 3,
            "it streams": 1,
            "an override, or a function that somebody has replaced": 1,
            "an application that turbo leaves alone": 1,
        }
        assert "3 of 6 requests that reached a route were served by compiled code (50.0 %)" in done.stdout
