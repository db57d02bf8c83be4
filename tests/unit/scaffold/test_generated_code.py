"""What is written is as clean as what we write ourselves, whatever its names are."""

import subprocess
import sys
from pathlib import Path

import pytest

from leyden.scaffold import DATABASES, write_feature, write_project
from leyden.scaffold.names import LONGEST

LONG = "abcdefghijklmnopqrstuvwxyz" + "x" * (LONGEST - 26)


@pytest.mark.parametrize(
    ("name", "feature", "database"),
    [("shop", "videos", "sqlite"), ("s", "stock", "mysql"), (LONG, f"{LONG[:-1]}s", "postgresql")],
)
def test_ruff_finds_nothing(tmp_path: Path, name: str, feature: str, database: str) -> None:
    assert database in DATABASES
    root = write_project(name, database, tmp_path)
    write_feature(feature, root, f"{name}.app:app")

    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=root,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
