"""Search: the words somebody typed, looked for in several columns; the same call with an index and without."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Boolean, Column, ColumnElement, Float, Select, String, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from leyden.core import ConfigurationError
from leyden.data.search_conditions import DIALECTS, Place, Words, found, ranked
from leyden.data.search_indexes import SearchIndex

S = TypeVar("S", bound=Select[Any])

MOST_WORDS = 16
LONGEST_WORD = 100
"""What is beyond is not looked for."""

_TOKEN = re.compile(r"[^\W_]+")


class Search:
    """The columns that are searched, declared once beside their model.

    Without a `language` every word must occur in one of the columns, in capitals or not, anywhere in a word; no index is
    needed, and every row is read. With one, such as `english`, or `simple` for any, an index finds words by how they
    begin, and `leyden db make` writes the migration that makes it; `name` is that index's. Raises ConfigurationError.
    """

    def __init__(self, *columns: QueryableAttribute[Any], language: str | None = None, name: str | None = None) -> None:
        self.columns: tuple[Column[Any], ...] = tuple(_column(attribute) for attribute in columns)
        if not columns or len({column.table for column in self.columns}) != 1:
            raise ConfigurationError("A search needs one column or several, all of the same table.")
        table = self.columns[0].table
        if not isinstance(table, Table):
            raise ConfigurationError(f"{table} cannot be searched: it is no table.")
        self.index: SearchIndex | None = None
        if language is not None:
            key = [column.name for column in table.primary_key.columns]
            if len(key) != 1:
                raise ConfigurationError(f"{table.name} has no primary key of one column, which its search needs.")
            names = tuple(column.name for column in self.columns)
            self.index = SearchIndex(name or f"{table.name}_search", table.name, key[0], names, language)
            self.index.belong_to(table)

    def matching(self, statement: S, text: str | None) -> S:
        """The statement with those rows only in which every word of `text` occurs; without words, with all of them."""
        words = words_of(text or "", indexed=self.index is not None)
        return statement.where(_Found(self, words)) if words else statement

    def rank(self, text: str | None) -> ColumnElement[float]:
        """How well a row fits, to sort by: `.order_by(search.rank(text).desc())`."""
        return _Rank(self, words_of(text or "", indexed=self.index is not None))


def words_of(text: str, *, indexed: bool) -> Words:
    """What to look for: whatever was typed is words, never syntax."""
    clean = unicodedata.normalize("NFC", text.encode("utf-8", "ignore").decode().replace("\0", " "))
    tokens: list[str] = []
    parts: list[str] = []
    for word in clean.split(maxsplit=MOST_WORDS)[:MOST_WORDS]:
        inside = _TOKEN.findall(word)
        if indexed and inside and all(map(_is_alphabetic, word)):
            tokens += (token[:LONGEST_WORD] for token in inside)
        else:
            parts.append(word[:LONGEST_WORD])
    return Words(tuple(dict.fromkeys(tokens))[:MOST_WORDS], tuple(dict.fromkeys(parts)))


def _is_alphabetic(character: str) -> bool:
    """Of a script that puts spaces between words, and whose words every database divides in the same way."""
    return (character < "\u0900" or "\u1e00" <= character < "\u2c00") and not unicodedata.combining(character)


def _column(attribute: QueryableAttribute[Any]) -> Column[Any]:
    column = getattr(attribute, "expression", None)
    if not isinstance(column, Column) or not isinstance(column.type, String):
        raise ConfigurationError(f"{attribute} cannot be searched: it is no column of text.")
    return column


class _Element(ColumnElement[Any]):
    """What a search is in SQL is decided when the database is known."""

    # The words are not parameters of one statement: they decide what it is.
    inherit_cache = False
    _traverse_internals = [("columns", InternalTraversal.dp_clauseelement_list)]  # noqa: RUF012 -- as SQLAlchemy has it

    def __init__(self, search: Search, words: Words) -> None:
        self.columns: Sequence[Column[Any]] = search.columns
        self.index = search.index
        self.words = words

    def self_group(self, against: Any = None) -> "_Element":  # noqa: ARG002 -- it stands in brackets anyway
        """As it is: where a database has no booleans, a comparison with 1 would hide it from its index."""
        return self

    @property
    def _from_objects(self) -> list[Any]:
        return [self.columns[0].table]


class _Found(_Element):
    inherit_cache = False
    __visit_name__ = "leyden_found"
    type = Boolean()


class _Rank(_Element):
    inherit_cache = False
    __visit_name__ = "leyden_rank"
    type = Float()


@compiles(_Found)
def _write_found(element: _Found, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(found(_place(element, compiler, options), element.words), **options)})"


@compiles(_Rank)
def _write_rank(element: _Rank, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(ranked(_place(element, compiler, options), element.words), **options)})"


def _place(element: _Element, compiler: SQLCompiler, options: Any) -> Place:
    key = next(iter(element.columns[0].table.primary_key), element.columns[0])
    columns, (named,) = ([compiler.process(column, **options) for column in some] for some in (element.columns, [key]))
    dialect = compiler.dialect.name  # there is one called `default`, which writes statements for people to read
    return Place(dialect if dialect in DIALECTS else "postgresql", columns, named, element.index)
