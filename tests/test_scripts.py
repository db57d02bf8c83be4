"""The scripts behind `make` say in a sentence what they need."""

import os
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
