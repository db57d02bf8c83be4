"""No name of a feature may mean two things in what is written for it; the taken names are read from the templates."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from symtable import SymbolTable, symtable
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from leyden.scaffold import ScaffoldError, write_feature, write_project
from leyden.scaffold.features import feature_values
from leyden.scaffold.lists import with_battery
from leyden.scaffold.names import refuse_feature
from leyden.scaffold.render import rendered

PROJECT = {
    "name": "shop",
    "package": "shop",
    "title": "Shop",
    "database": "sqlite",
    "scheme": "sqlite",
    "extra": "",
    **feature_values("shop", "notes", number=2, down="auth_0001"),
}
APP = next(text for path, text in rendered("project", PROJECT) if path.name == "app.py")


def modules(feature: str) -> Iterator[str]:
    """Every module in which the feature's names are: its own, and app.py with it in the list."""
    values = feature_values("shop", feature, number=3, down="0002")
    yield from (text for path, text in rendered("feature", values) if path.suffix == ".py")
    yield with_battery(APP, "shop", feature) or ""


def scopes(table: SymbolTable) -> Iterator[SymbolTable]:
    yield table
    for inner in table.get_children():
        yield from scopes(inner)


def top_level(source: str) -> list[str]:
    """The names that statements of a module bind, each as often as it is bound."""
    names: list[str] = []
    for node in ast.parse(source).body:
        match node:
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names += [alias.asname or alias.name for alias in aliases]
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.append(name)
            case ast.Assign(targets=targets):
                names += [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return names


def refused(feature: str) -> bool:
    try:
        refuse_feature(feature)
    except ScaffoldError:
        return True
    return False


def template_names() -> set[str]:
    """Every name that the templates import, define or assign, at whatever depth, and the words of Python."""
    found = {"true", "false", "none", "class", "battery", "current_users", "create_app"}
    for source in modules("videos"):
        for scope in scopes(symtable(source, "", "exec")):
            found |= set(scope.get_identifiers())
    return found


def candidates() -> list[str]:
    """Features whose module, class or variable would be called like something in the templates."""
    words = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_") for name in template_names()}
    several = {word.removesuffix("y") + "ies" if word.endswith("y") else f"{word}s" for word in words}
    return sorted(word for word in words | several if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", word))


def with_taken_names(test: Callable[..., Any]) -> Callable[..., Any]:
    for name in candidates():
        test = example(name)(test)
    return test


@with_taken_names
@given(st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,6}){0,2}", fullmatch=True))
def test_in_whatever_is_written_a_name_means_one_thing(name: str) -> None:
    assume(not refused(name))

    for source in modules(name):
        names = top_level(source)
        assert sorted(names) == sorted(set(names))
        for function in scopes(symtable(source, "", "exec")):
            if function.get_type() == "function":
                own = {symbol.get_name() for symbol in function.get_symbols() if symbol.is_local()}
                assert not own & set(names)


def test_a_variable_is_not_called_like_a_parameter() -> None:
    for name in candidates():
        for source in () if refused(name) else modules(name):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.AsyncFunctionDef):
                    parameters = {argument.arg for argument in node.args.args}
                    assigned = {
                        found.id
                        for found in ast.walk(node)
                        if isinstance(found, ast.Name) and isinstance(found.ctx, ast.Store)
                    }
                    assert not parameters & assigned, name


@pytest.mark.parametrize(
    "name",
    [
        *("true", "false", "trues", "create_app", "app", "current_users", "page_deps", "reader_deps"),
        *("async_sessions", "not_found_errors", "session_dep", "auth_sessions", "auth_refresh_tokens"),
    ],
)
def test_a_taken_name_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(ScaffoldError, match=f"A feature cannot be called '{name}': the name is taken"):
        refuse_feature(name)


@pytest.mark.parametrize("name", ["titles", "bodies", "items", "uploads", "batches"])
def test_a_name_that_disturbs_nothing_is_not_refused(name: str) -> None:
    refuse_feature(name)


def test_what_app_py_has_a_name_for_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    root = write_project("shop", "sqlite", tmp_path)
    app = root / "shop" / "app.py"
    app.write_text(app.read_text() + "\nfrom leyden import testing as jobs\n")
    before = sorted(root.rglob("*"))

    with pytest.raises(ScaffoldError, match=r"'jobs': shop/app\.py has that name for something else"):
        write_feature("jobs", root, "shop.app:app")

    assert sorted(root.rglob("*")) == before
