"""The scripts behind `make` say in a sentence what they need."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHELL_SCRIPTS = [*sorted(path for path in (ROOT / "scripts").iterdir() if path.suffix == ""), ROOT / ".ci" / "run"]


def run(script: str, *arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / script), *arguments], env={"PATH": path}, cwd=ROOT, capture_output=True, text=True, check=False
    )


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=[script.name for script in SHELL_SCRIPTS])
def test_a_script_can_be_parsed_and_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    assert subprocess.run([shell, "-n", script], check=False).returncode == 0


def test_python3_is_taken_if_it_will_do(tmp_path: Path) -> None:
    put(tmp_path, "python3", f'exec "{sys.executable}" "$@"')
    put(tmp_path, "python3.14", "exit 0")
    assert run("scripts/find-python", path=str(tmp_path)).stdout.strip() == str(tmp_path / "python3")


def test_another_python_is_taken_where_python3_is_too_old(tmp_path: Path) -> None:
    put(tmp_path, "python3", "exit 1")
    put(tmp_path, "python3.12", f'exec "{sys.executable}" "$@"')
    assert run("scripts/find-python", path=str(tmp_path)).stdout.strip() == str(tmp_path / "python3.12")


def test_a_machine_without_a_python_that_will_do_is_told_what_to_install(tmp_path: Path) -> None:
    put(tmp_path, "python3", "exit 1")
    refused = run("scripts/find-python", path=str(tmp_path))
    assert refused.returncode == 1
    assert "Leyden needs Python 3.11" in refused.stderr
    assert "apt install python3" in refused.stderr


def test_a_python_without_venv_is_told_what_to_install(tmp_path: Path) -> None:
    put(tmp_path, "python3", "case $2 in *venv*) exit 1;; esac; exit 0")
    refused = run("scripts/install", str(tmp_path / "venv"), path=f"{tmp_path}:/usr/bin:/bin")
    assert refused.returncode == 1
    assert "apt install python3-venv" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_every_pinned_version_is_exact_and_nothing_else_is_written_there() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines[0].startswith("#")
    for line in lines[1:]:
        name, _, version = line.partition("==")
        assert name, line
        assert version[:1].isdigit(), line


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts beside a `leyden` that only notes what it is called with."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "examples" / "tube").mkdir(parents=True)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    put(tmp_path / ".venv" / "bin", "python", f'exec "{sys.executable}" "$@"')
    put(tmp_path / ".venv" / "bin", "leyden", f'echo "$@" >> "{tmp_path}/calls"')
    return tmp_path


def serve_example(checkout: Path, port: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PORT": port}
    return subprocess.run([checkout / "scripts" / "run"], env=environment, capture_output=True, text=True, check=False)


def test_the_example_is_migrated_filled_and_served_on_the_port_asked_for(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert serve_example(checkout, str(port)).returncode == 0
    assert (checkout / "calls").read_text() == f"db upgrade\ndb seed\nrun --port {port}\n"


def test_a_taken_port_is_told_as_make_knows_it_before_anything_is_done(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = serve_example(checkout, str(port))
    other = port % 65535 + 1
    assert refused.returncode == 1
    assert refused.stderr == (
        f"Error: Port {port} is taken. Stop what listens there, or take another: PORT={other} make run.\n"
    )
    assert not (checkout / "calls").exists()


@pytest.mark.parametrize("port", ["eighty", "65536", "-1", "8o"])
def test_what_is_no_port_is_told_before_anything_is_done(checkout: Path, port: str) -> None:
    refused = serve_example(checkout, port)
    assert refused.stderr == f"Error: PORT={port} is no port. Give a number up to 65535: PORT=8080 make run.\n"
    assert not (checkout / "calls").exists()
