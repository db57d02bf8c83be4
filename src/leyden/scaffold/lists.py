"""The list of batteries in an app.py, with one more in it; a file written by hand in another way is left alone."""

import ast
from symtable import Symbol, symtable


def with_battery(source: str, package: str, feature: str) -> str | None:
    """The source with `<feature>.battery()` at the end of create_app's list; None where that is not to be found."""
    tree = ast.parse(source)
    batteries, imports = _list(tree), _import(tree, package)
    if batteries is None or imports is None or not batteries.elts:
        return None
    last = batteries.elts[-1]
    lines = source.splitlines(keepends=True)
    own_line = last.lineno != batteries.lineno
    at = _offset(lines, last.end_lineno or 0, last.end_col_offset or 0)
    indent = " " * last.col_offset
    entry = f",\n{indent}{feature}.battery()" if own_line else f", {feature}.battery()"
    grown = source[:at] + entry + source[at:]
    return _with_import(grown, lines, imports, feature)


def bound_names(source: str) -> frozenset[str]:
    """What a module imports, makes and assigns at its top level."""
    return frozenset(symbol.get_name() for symbol in symtable(source, "", "exec").get_symbols() if _bound(symbol))


def _bound(symbol: Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _list(tree: ast.Module) -> ast.List | None:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="create_app") | ast.Attribute(attr="create_app"), args=[ast.List() as found, *_]
            ):
                return found
    return None


def _import(tree: ast.Module, package: str) -> ast.ImportFrom | None:
    """`from shop import notes`, on one line and before the list."""
    for node in tree.body:
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == package
            and not node.level
            and node.lineno == node.end_lineno
        ):
            return node
    return None


def _with_import(source: str, lines: list[str], imports: ast.ImportFrom, feature: str) -> str:
    names = sorted({ast.unparse(alias) for alias in imports.names} | {feature})
    start = _offset(lines, imports.lineno, imports.col_offset)
    end = _offset(lines, imports.lineno, imports.end_col_offset or 0)
    return f"{source[:start]}from {imports.module} import {', '.join(names)}{source[end:]}"


def _offset(lines: list[str], line: int, column: int) -> int:
    """Where a place of the syntax tree is in the text; the tree counts columns in UTF-8."""
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())
