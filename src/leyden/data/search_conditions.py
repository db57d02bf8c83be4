"""What a search is in the SQL of each database."""
# ruff: noqa: S608 -- names come from SQLAlchemy or from a SearchIndex, which has checked its own; words are parameters

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import String, TextClause, bindparam, text

from leyden.data.search_indexes import SearchIndex

FOLD = "leyden_casefold"
"""The function that our connections to SQLite have: its own lower() knows ASCII only."""

DIALECTS = frozenset({"sqlite", "postgresql", "mysql"})

_SHORTEST = 3
"""Letters: the index of InnoDB has no shorter words (innodb_ft_min_token_size)."""
_STOPWORDS = frozenset(
    [
        *("a", "about", "an", "are", "as", "at", "be", "by", "com", "de", "en", "for", "from", "how", "i", "in", "is"),
        *("it", "la", "of", "on", "or", "that", "the", "this", "to", "was", "what", "when", "where", "who", "will"),
        *("with", "und", "www"),
    ]
)
"""Nor has it these (INNODB_FT_DEFAULT_STOPWORD)."""


@dataclass(frozen=True, slots=True)
class Words:
    """`tokens` can be found by an index, by how words begin; `parts` may stand anywhere, and need every row to be read."""

    tokens: tuple[str, ...]
    parts: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.tokens or self.parts)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a search looks: its columns and the primary key as they are called in the statement."""

    dialect: str
    columns: Sequence[str]
    key: str
    index: SearchIndex | None


class Sql:
    """Text that grows, with its values."""

    def __init__(self) -> None:
        self._values: list[str] = []

    def value(self, value: str) -> str:
        self._values.append(value)
        return f":search_{len(self._values) - 1}"

    def clause(self, sql: str) -> TextClause:
        binds = (bindparam(f"search_{place}", value, String, unique=True) for place, value in enumerate(self._values))
        return text(sql).bindparams(*binds)


def found(place: Place, words: Words) -> TextClause:
    """Whether every word is in a row."""
    sql = Sql()
    tokens, lost = _divided(words, place.dialect)
    conditions = [_contains(sql, place, place.columns, part) for part in words.parts]
    conditions += [_begins(sql, place.columns, token) for token in lost]
    if place.index is not None and tokens:
        conditions.append(_FOUND[place.dialect](sql, place, place.index, tokens))
    return sql.clause(" AND ".join(conditions) or "1 = 1")


def ranked(place: Place, words: Words) -> TextClause:
    """Higher is better; without an index, how many of the words are in the first column."""
    sql = Sql()
    tokens, _ = _divided(words, place.dialect)
    first = [_contains(sql, place, place.columns[:1], part) for part in words.parts]
    terms = [f"CASE WHEN {condition} THEN 1.0 ELSE 0.0 END" for condition in first]
    if place.index is not None and tokens:
        terms.append(f"coalesce({_RANK[place.dialect](sql, place, place.index, tokens)}, 0.0)")
    return sql.clause(" + ".join(terms) or "0.0 + 0.0")  # PostgreSQL cannot sort by a constant


def _divided(words: Words, dialect: str) -> tuple[list[str], list[str]]:
    """The tokens that this database's index may have, and those that it has not."""
    lost = [token for token in words.tokens if dialect == "mysql" and _unknown_to_innodb(token)]
    return [token for token in words.tokens if token not in lost], lost


def _unknown_to_innodb(token: str) -> bool:
    return len(token) < _SHORTEST or token.casefold() in _STOPWORDS


def _contains(sql: Sql, place: Place, columns: Sequence[str], part: str) -> str:
    if place.dialect == "sqlite":
        value = sql.value(part.casefold())
        return "(" + " OR ".join(f"instr({FOLD}({column}), {value}) > 0" for column in columns) + ")"
    for sign in ("/", "%", "_"):
        part = part.replace(sign, f"/{sign}")
    return "(" + " OR ".join(_LIKE[place.dialect].format(column, sql.value(f"%{part}%")) for column in columns) + ")"


def _begins(sql: Sql, columns: Sequence[str], token: str) -> str:
    """MariaDB: a word begins with this, as an index would find it; a token has no signs, of whatever language."""
    pattern = sql.value(f"(^|[[:space:][:punct:]]){token}")
    return "(" + " OR ".join(f"{_UNICODE.format(column)} REGEXP {pattern}" for column in columns) + ")"


# Whatever the column's own collation is; in the older ones every emoji is like every other.
_UNICODE = "CONVERT({} USING utf8mb4) COLLATE utf8mb4_unicode_520_ci"
_LIKE = {
    "postgresql": "{} ILIKE {} ESCAPE '/'",
    "mysql": f"{_UNICODE} LIKE {{}} ESCAPE '/'",
}

Write = Callable[[Sql, Place, SearchIndex, Sequence[str]], str]


def _postgresql_parts(sql: Sql, place: Place, index: SearchIndex, tokens: Sequence[str]) -> tuple[str, str]:
    query = sql.value(" & ".join(f"'{token}':*" for token in tokens))
    return index.document(place.columns), f"to_tsquery('{index.language}', {query})"


def _postgresql_found(sql: Sql, place: Place, index: SearchIndex, tokens: Sequence[str]) -> str:
    return " @@ ".join(_postgresql_parts(sql, place, index, tokens))


def _postgresql_rank(sql: Sql, place: Place, index: SearchIndex, tokens: Sequence[str]) -> str:
    return f"ts_rank({', '.join(_postgresql_parts(sql, place, index, tokens))})"


def _mysql_match(sql: Sql, place: Place, _: SearchIndex, tokens: Sequence[str]) -> str:
    query = sql.value(" ".join(f"+{token}*" for token in tokens))
    return f"MATCH ({', '.join(place.columns)}) AGAINST ({query} IN BOOLEAN MODE)"


def _sqlite_found(sql: Sql, place: Place, index: SearchIndex, tokens: Sequence[str]) -> str:
    rows = f"SELECT rowid FROM {index.name} WHERE {index.name} MATCH {sql.value(_sqlite_query(tokens))}"
    return f"{place.key} IN (SELECT key FROM {index.rows} WHERE id IN ({rows}))"


def _sqlite_rank(sql: Sql, place: Place, index: SearchIndex, tokens: Sequence[str]) -> str:
    match = f"{index.name} MATCH {sql.value(_sqlite_query(tokens))}"
    row = f"(SELECT id FROM {index.rows} WHERE key = {place.key})"
    return f"(SELECT -rank FROM {index.name} WHERE {match} AND rowid = {row})"  # SQLite's is lower where it is better


def _sqlite_query(tokens: Sequence[str]) -> str:
    return " ".join(f'"{token}"*' for token in tokens)


_FOUND: dict[str, Write] = {"postgresql": _postgresql_found, "mysql": _mysql_match, "sqlite": _sqlite_found}
_RANK: dict[str, Write] = {"postgresql": _postgresql_rank, "mysql": _mysql_match, "sqlite": _sqlite_rank}
