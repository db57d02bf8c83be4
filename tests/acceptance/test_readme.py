"""What the README shows is typed as a reader would type it."""

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import httpx2
import pytest

from leyden.testing import LiveServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def block(words: str) -> str:
    """The one shell block with these words in it."""
    (found,) = [text for text in SHELL if words in text]
    return str(found)


def type_in(commands: str, folder: Path) -> str:
    """What a shell prints for these commands; none of them may fail."""
    environment = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_app_takes_a_registration_a_login_and_a_call_with_the_token(tmp_path: Path) -> None:
    make, _, run = block("leyden new shop").strip().rpartition(" && ")
    assert run == "leyden run"
    type_in(make, tmp_path)
    with LiveServer(tmp_path / "shop") as server:
        answers = type_in(block("/api/auth/register").replace("localhost:8000", f"127.0.0.1:{server.port}"), tmp_path)
    registered, me = map(json.loads, re.findall(r"\{[^{}]*\}", answers))
    assert registered["email"] == me["email"] == "ada@example.com"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_app_in_twenty_lines_stores_pages_and_names_the_field_that_is_taken(tmp_path: Path, language: str) -> None:
    (tmp_path / "notes.py").write_text(PYTHON[0], encoding="utf-8")
    make, _, run = block("leyden db make").strip().rpartition(" && ")
    assert run == "leyden run"
    type_in(make, tmp_path)
    with LiveServer(tmp_path) as server, httpx2.Client(base_url=server.url) as client:
        client.headers["Accept-Language"] = language
        assert client.post("/api/notes", json={"text": "Milk"}).status_code == 201
        again = client.post("/api/notes", json={"text": "Milk"})
        page = client.get("/api/notes").json()
        documentation = client.get("/docs")
    assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "text")
    assert again.headers["Content-Language"] == language
    assert (page["items"], page["total"]) == ([{"text": "Milk"}], 1)
    assert documentation.status_code == 200


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_twenty_lines_are_twenty_in_both_languages(readme: str) -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / readme).read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in shown.splitlines() if line.strip()]) == 20
    assert max(map(len, shown.splitlines())) <= 120
