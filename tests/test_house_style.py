"""The rules of style that a linter does not know, on every file of the repository."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
USUAL_FUNCTION = 25

LONG_FILES: dict[str, str] = {}
"""Files over 500 lines, each with its reason."""
LONG_FUNCTIONS: dict[str, str] = {}
"""Functions over 60 lines as `path:name`, each with its reason."""

NAMED_HERE = {"tests/test_house_style.py"}
"""This file has to write down what it forbids."""
PROSE = (".md", ".txt", ".toml", ".yml", ".yaml", ".cfg")

UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
BARE_NOQA = re.compile(r"#\s*noqa(?!:\s*[A-Z]+[0-9]+)", re.IGNORECASE)
BARE_IGNORE = re.compile(r"#\s*(?:type|mypy|pyright):\s*ignore(?!\[)")
UNEXPLAINED = re.compile(r"#\s*(?:noqa:\s*[A-Z0-9, ]+|type:\s*ignore\[[\w, -]+\])\s*$")
MACHINE = re.compile(
    r"(?<![\w.<-])/(?:work|root)/[\w.]|--(?:extra-)?index-url|\bfind-links\b|registry\.npmjs|\bpypi\.org\b|/simple/?\b"
)
HOW_IT_WAS_TYPED = re.compile(
    r"\b(?:claude|anthropic|chatgpt|copilot|openai|language model|ai assistant|subagent|co-authored-by)\b",
    re.IGNORECASE,
)

SILENT_SKIP = re.compile(r"\bskipif\b|\bpytest\.skip\(|\bimportorskip\b")

Rule = Callable[[str], Iterator[int]]
"""From the text of a file to the numbers of the lines that break the rule."""


class Function(NamedTuple):
    name: str
    line: int
    length: int


def lines_with(pattern: re.Pattern[str]) -> Rule:
    def rule(text: str) -> Iterator[int]:
        yield from (number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line))

    return rule


def swallowed_exceptions(text: str) -> Iterator[int]:
    """`except Exception: pass`, and `suppress(Exception)`, which is the same."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ExceptHandler(type=caught, body=[ast.Pass() | ast.Expr(value=ast.Constant())]):
                if caught is None or any(map(_is_everything, ast.walk(caught))):
                    yield node.lineno
            case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=caught_too):
                if any(map(_is_everything, caught_too)):
                    yield node.lineno


def _is_everything(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"}


def buffering_middleware(text: str) -> Iterator[int]:
    """Only the name in code counts: a comment may warn of it."""
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        names += [node.attr] if isinstance(node, ast.Attribute) else []
        if "BaseHTTPMiddleware" in names:
            yield getattr(node, "lineno", 0)


def late_imports(text: str) -> Iterator[int]:
    """Imports of our own inside functions hide a circle."""
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            own = isinstance(node, ast.ImportFrom) and (node.level > 0 or (node.module or "").split(".")[0] == "leyden")
            own |= isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "leyden" for alias in node.names)
            if own:
                yield getattr(node, "lineno", 0)


def functions_in(text: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)


def repository() -> list[Path]:
    """Every text file that is committed or about to be; all there is where git does not answer."""
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    asked = subprocess.run(git, cwd=ROOT, check=False, capture_output=True, text=True)
    names = asked.stdout.split("\0") if asked.returncode == 0 else _names_below(ROOT)
    paths = [ROOT / name for name in names if name and name not in NAMED_HERE]
    return [path for path in paths if path.is_file() and _is_text(path)]


def _names_below(folder: Path) -> list[str]:
    places = (path.relative_to(folder) for path in folder.rglob("*"))
    return [
        place.as_posix() for place in places if not any(part.startswith((".", "__pycache__")) for part in place.parts)
    ]


def _is_text(path: Path) -> bool:
    return b"\0" not in path.read_bytes()[:4096] and "static" not in path.parts


def broken(rule: Rule, *, below: tuple[str, ...] = ("",), endings: tuple[str, ...] = ("",)) -> list[str]:
    """Where the files below these folders break a rule."""
    return [
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        if path.relative_to(ROOT).as_posix().startswith(below) and path.name.endswith(endings)
        for line in rule(path.read_text(encoding="utf-8"))
    ]


FILES = repository()
CODE = ("src/", "examples/", "benchmarks/", "scripts/", "tests/")
SHIPPED = ("src/", "examples/")


def test_no_exception_is_swallowed_unseen() -> None:
    assert broken(swallowed_exceptions, below=CODE, endings=(".py",)) == []


def test_nothing_is_left_for_later() -> None:
    assert broken(lines_with(UNFINISHED), below=(*CODE, "docs/", "changes/")) == []


def test_no_middleware_buffers_or_hides_contextvars() -> None:
    assert broken(buffering_middleware, below=SHIPPED, endings=(".py",)) == []


def test_nothing_of_our_own_is_imported_late() -> None:
    assert broken(late_imports, below=("src/",), endings=(".py",)) == []


def test_every_ignore_names_its_rule() -> None:
    assert broken(lines_with(BARE_NOQA), endings=(".py",)) == []
    assert broken(lines_with(BARE_IGNORE), endings=(".py",)) == []


def test_a_test_skips_only_where_services_may_be_missing() -> None:
    """skip_or_fail is the one way: it fails where LEYDEN_REQUIRE_SERVICES says that all must be there."""
    assert broken(lines_with(SILENT_SKIP), below=("tests/", "examples/"), endings=(".py",)) == []


def test_every_ignore_in_the_source_says_why() -> None:
    assert broken(lines_with(UNEXPLAINED), below=("src/",), endings=(".py",)) == []


def test_no_path_of_a_machine_and_no_registry_is_written_down() -> None:
    assert broken(lines_with(MACHINE)) == []


def test_texts_speak_of_the_project_alone() -> None:
    assert broken(lines_with(HOW_IT_WAS_TYPED), endings=PROSE) == []


def test_files_are_short() -> None:
    long = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if path.suffix == ".py" and len(path.read_text().splitlines()) > LONGEST_FILE
    }
    assert long == set(LONG_FILES)


def test_no_function_is_long_and_nine_in_ten_are_short() -> None:
    functions = {
        f"{path.relative_to(ROOT).as_posix()}:{function.name}": function.length
        for path in FILES
        if path.suffix == ".py" and path.relative_to(ROOT).as_posix().startswith(SHIPPED)
        for function in functions_in(path.read_text())
    }
    assert {name for name, length in functions.items() if length > LONGEST_FUNCTION} == set(LONG_FUNCTIONS)
    assert sum(length <= USUAL_FUNCTION for length in functions.values()) >= 0.9 * len(functions)


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (swallowed_exceptions, "try:\n    f()\nexcept Exception:\n    pass", "try:\n    f()\nexcept OSError:\n    pass"),
        (swallowed_exceptions, "try:\n    f()\nexcept:\n    ...", "try:\n    f()\nexcept Exception:\n    log()"),
        (swallowed_exceptions, "try:\n    f()\nexcept (ValueError, BaseException):\n    pass", "f()"),
        (swallowed_exceptions, "with suppress(Exception):\n    f()", "with suppress(OSError):\n    f()"),
        (lines_with(UNFINISHED), "# TODO: later", "# a todo list is a list"),
        (buffering_middleware, "from starlette.middleware.base import BaseHTTPMiddleware", "# no BaseHTTPMiddleware"),
        (buffering_middleware, "import a\nclass M(a.BaseHTTPMiddleware): ...", "class M: ..."),
        (late_imports, "def f():\n    from leyden.core import Clock", "from leyden.core import Clock"),
        (late_imports, "async def f():\n    import leyden.core", "def f():\n    import json"),
        (late_imports, "def f():\n    from . import core", "def f():\n    from leydenfrost import effect"),
        (lines_with(BARE_NOQA), "x = 1  # noqa", "x = 1  # noqa: E501 -- why"),
        (lines_with(BARE_IGNORE), "x = 1  # type: ignore", "x = 1  # type: ignore[misc]  # why"),
        (lines_with(UNEXPLAINED), "x = 1  # noqa: E501", "x = 1  # noqa: E501 -- a table"),
        (lines_with(UNEXPLAINED), "x = 1  # type: ignore[misc]", "x = 1  # type: ignore[misc]  # because"),
        (lines_with(MACHINE), "see /work/main/x", "see docs/work/x"),
        (lines_with(MACHINE), "pip install --index-url https://x", "pip install x"),
        (lines_with(MACHINE), "path = '/root/.cache'", "router = '/roots/x'"),
        (lines_with(HOW_IT_WAS_TYPED), "Written with Copilot", "Written in Python"),
    ],
)  # fmt: skip
def test_each_rule_finds_what_it_forbids_and_nothing_else(rule: Rule, bad: str, good: str) -> None:
    assert list(rule(bad))
    assert list(rule(good)) == []


def test_the_length_of_a_function_is_counted_from_def_to_its_last_line() -> None:
    (function,) = functions_in("@decorated\ndef f(\n    a,\n):\n    x = 1\n    return x\n")
    assert function == Function("f", 2, 5)
