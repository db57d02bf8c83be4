"""Promises 32, 33, 35 and 36: a twentieth of the fault campaign. `make chaos CELL=data` is the whole of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leyden.testing.services import Unavailable, ask, skip_or_fail

FIGURE = re.compile(r"(\w+) +(\S+) \w* +(\S+) (pass|short|missing|-)")
NOT_HERE = ("p99", "success_after_outage", "mariadb_deadlocked")
"""A machine on which tests run is not one to measure on, and MariaDB counts the deadlocks of all that use it; the whole
campaign judges these too."""


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "chaos", "--cell", "data", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def needs(part: str) -> None:
    """The programs and rights that this machine may lack."""
    try:
        if part == "mariadb":
            ask("mariadb")
    except Unavailable as reason:
        skip_or_fail(str(reason))
    if part == "postgresql" and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        skip_or_fail("no PostgreSQL server is installed")
    if part == "kills" and shutil.which("strace") is None:
        skip_or_fail("strace is not installed")
    if part == "disk" and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        skip_or_fail("a disk cannot be mounted here")


@pytest.mark.parametrize("part", ["sqlite", "postgresql", "mariadb", "writers", "kills", "disk"])
def test_what_was_acknowledged_is_there_and_nothing_else(part: str, campaign: Path) -> None:
    needs(part)
    ran = run(campaign, "--only", part, "--seconds", "3", "--clients", "32")
    figures = [found.groups() for found in map(FIGURE.fullmatch, ran.stdout.splitlines()) if found]
    wrong = [figure for figure in figures if figure[-1] in ("short", "missing") and not figure[0].endswith(NOT_HERE)]
    assert len(figures) > 4, ran.stderr
    assert wrong == [], ran.stdout + ran.stderr


@pytest.mark.parametrize("wrong", [["--only", "sqlight"], ["--seconds", "0"], ["--seconds", "nan"], ["--clients", "0"]])
def test_what_cannot_be_run_is_said(wrong: list[str], campaign: Path) -> None:
    ran = run(campaign, *wrong)
    assert ran.returncode == 2
    assert "error:" in ran.stderr
