"""Whatever the documentation shows is run: each python block by itself, each shell block at least parsed."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "bash", "shell"}

NOT_RUN: set[str] = set()
"""Blocks marked `python no-run`, as `path:line`; each needs a good reason beside it here."""


class Block(NamedTuple):
    place: str
    info: str
    body: str


def blocks_in(text: str, path: str) -> Iterator[Block]:
    for fence in FENCE.finditer(text):
        indent = fence["indent"]
        body = "".join(line.removeprefix(indent) for line in fence["body"].splitlines(keepends=True))
        yield Block(f"{path}:{text.count(chr(10), 0, fence.start()) + 1}", fence["info"].strip(), body)


def unmarked(blocks: list[Block]) -> list[str]:
    """Blocks that nobody checks: no language, or left out without being listed."""
    return [
        block.place for block in blocks if not block.info or ("no-run" in block.info and block.place not in NOT_RUN)
    ]


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in an empty folder as a reader would, with warnings as errors."""
    path = folder / "shown.py"
    path.write_text(program, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "LEYDEN_"))}
    command = [sys.executable, "-W", "error", str(path)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


PAGES = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    block
    for page in PAGES
    if page.is_file()
    for block in blocks_in(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())
]
PYTHON = [block for block in BLOCKS if block.info == "python"]
SHELL = [block for block in BLOCKS if block.info.split(" ")[0] in SHELLS]


def test_every_block_says_what_it_is_and_none_is_left_out() -> None:
    assert unmarked(BLOCKS) == []


@pytest.mark.parametrize("block", PYTHON, ids=[block.place for block in PYTHON])
def test_the_python_that_is_shown_runs(block: Block, tmp_path: Path) -> None:
    result = run(block.body, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("block", SHELL, ids=[block.place for block in SHELL])
def test_the_shell_that_is_shown_can_be_parsed(block: Block) -> None:
    result = subprocess.run(["bash", "-n"], input=block.body, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_both_readmes_show_the_same_commands() -> None:
    """Comments are translated, code and commands are not."""
    english, chinese = (
        [_without_comments(block) for block in BLOCKS if block.place.startswith(name)]
        for name in ("README.md:", "README.zh-CN.md:")
    )
    assert english == chinese


def _without_comments(block: Block) -> str:
    if block.info == "python":
        return ast.dump(ast.parse(block.body))
    return re.sub(r"\s+#.*$", "", block.body, flags=re.MULTILINE)


def test_every_promise_names_tests_that_are_there() -> None:
    rows = [
        line for line in (ROOT / "docs" / "promises.md").read_text(encoding="utf-8").splitlines() if line[2:3].isdigit()
    ]
    shown = [re.findall(r"`(tests/[^`]+)`", row) for row in rows]
    assert rows
    assert all(shown)
    assert [path for paths in shown for path in paths if not (ROOT / path).is_file()] == []


def test_blocks_are_found_with_their_place_and_language() -> None:
    text = "# A\n\n```python\nx = 1\n```\n\n1. b\n\n   ```sh\n   ls\n   ```\n"
    assert list(blocks_in(text, "a.md")) == [Block("a.md:3", "python", "x = 1\n"), Block("a.md:9", "sh", "ls\n")]


def test_a_block_nobody_checks_is_found() -> None:
    assert unmarked([Block("a:1", "", ""), Block("a:2", "python no-run", ""), Block("a:3", "json", "")]) == [
        "a:1",
        "a:2",
    ]


@pytest.mark.parametrize("program", ["x = ", "raise SystemExit(1)", "import warnings; warnings.warn('old')"])
def test_a_program_that_does_not_run_is_found(program: str, tmp_path: Path) -> None:
    assert run(program, tmp_path).returncode != 0
