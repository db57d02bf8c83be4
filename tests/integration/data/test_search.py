"""Search on each database: the same rows for the same words, with an index and without, and no word is syntax."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import Select, String, Text, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from leyden import create_app
from leyden.core import ConfigurationError
from leyden.data import (
    Base,
    CursorDep,
    CursorPage,
    Database,
    DataSettings,
    Listing,
    Model,
    ReaderDep,
    Search,
    battery,
    insert_many,
    listing,
    paginate,
    prepared,
)
from leyden.data.migrations import Migrations
from leyden.testing import client


class Note(Model):
    """Searched without an index."""

    __tablename__ = "search_notes"
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str | None] = mapped_column(Text)


class Article(Model):
    """Searched with one."""

    __tablename__ = "search_articles"
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str | None] = mapped_column(Text)


class Essay(Base):
    """In English."""

    __tablename__ = "search_essays"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))


notes = Search(Note.title, Note.body)
articles = Search(Article.title, Article.body, language="simple")
essays = Search(Essay.title, language="english", name="essays_found")
TABLES: list[Any] = [model.__table__ for model in (Note, Article, Essay)]

ROWS: list[dict[str, Any]] = [
    {"title": "Über allen Gipfeln", "body": "ist Ruh"},
    {"title": "我爱上海", "body": "浦东的夜景"},
    {"title": "100% cotton_shirt", "body": 'say "cheese", it\'s (free); C++ & more: ask me@example.org'},
    {"title": "NEAR the sea", "body": None},
    {"title": "emoji 😀 party", "body": "AND OR NOT gipfel*"},
    {"title": "ΠΟΙΟΣ Москва", "body": "the end"},
    {"title": "back\\slash [x] ^y", "body": "東京タワー한국어"},
]
FOUND = {
    "über": [0],
    "ÜBER": [0],
    "gipfel": [0, 4],
    "GIPFEL ruh": [0],
    "gipfel party": [4],
    "gipfel nothing": [],
    "上海": [1],
    "上海 夜景": [1],
    "我爱上海 浦东": [1],
    "タワー": [6],
    "한국": [6],
    "москва": [5],
    "😀": [4],
    "😁": [],
    "the": [3, 5],
    "the sea": [3],
    "near": [3],
    "100": [2],
    "cheese": [2],
    "example": [2],
    "c++": [2],
    "": range(7),
    "   ": range(7),
    "\0": range(7),
}
HOSTILE = [
    "'", '"', "''", '""', "`", "\\", "\\'", "%", "_", "*", "**", "-", "--", "+", "(", ")", "(((", "()", ":", "::", ":*", "&", "|", "!",
    "@", "<->", "^", "~", "a:b", "title:", "title : x", '"unclosed', "NEAR(", "NEAR(a b, 2)", "AND", "OR NOT", "a AND", "NOT", "a*",
    "*a", "+a -b", '+"', "@4", ">a <b", "'; DROP TABLE search_notes; --", "1' OR '1'='1", "%s %(x)s {0} $1 ? :x", "\\x00", "a\0b",
    "\ud800", "😀" * 50, "x" * 10_000, "x " * 5_000, "上" * 3000, "\u202e\ufeff\u200b", "é e\u0301", "İ ß \u017f ﬁ", "\r\n\t", "//", "/%/_",
    "नमस्ते", "ภาษาไทย", "[a-z]", "{}", "#", "0x00", "1e400", "½ ² Ⅷ", "\x1a", "\x7f", "'a':*B & !'b'", "#ff", "a.b.c/d?e=f",
]  # fmt: skip


@pytest.fixture
async def ready(database: Database) -> Database:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
    async with database.session() as session:
        for model in (Note, Article):
            await insert_many(session, model, ROWS)
    return database


async def titles(database: Database, statement: Select[Any]) -> list[str]:
    async with database.reader() as session:
        return sorted(row.title for row in await session.scalars(statement))


async def found(database: Database, words: str | None) -> tuple[list[str], list[str]]:
    """Without an index, and with one."""
    plain = await titles(database, notes.matching(select(Note), words))
    return plain, await titles(database, articles.matching(select(Article), words))


@pytest.mark.parametrize("words", FOUND)
async def test_the_same_words_find_the_same_rows(ready: Database, words: str) -> None:
    wanted = sorted(ROWS[number]["title"] for number in FOUND[words])
    assert await found(ready, words) == (wanted, wanted)


async def test_no_words_are_syntax_and_none_is_an_error(ready: Database) -> None:
    for words in HOSTILE:
        plain, indexed = await found(ready, words)
        assert len(plain) < len(ROWS) or not words.replace("\0", " ").encode("utf-8", "ignore").strip(), words
        assert len(indexed) <= len(ROWS)
    assert (await found(ready, "100%"))[0] == ["100% cotton_shirt"]
    assert (await found(ready, "%"))[0] == ["100% cotton_shirt"]
    assert (await found(ready, "n_s"))[0] == ["100% cotton_shirt"]
    assert (await found(ready, "\\"))[0] == ["back\\slash [x] ^y"]


async def test_without_an_index_a_part_of_a_word_is_enough_and_with_one_its_beginning(ready: Database) -> None:
    assert await found(ready, "ipfel") == (["emoji 😀 party", "Über allen Gipfeln"], [])
    assert await found(ready, "gipf") == (["emoji 😀 party", "Über allen Gipfeln"],) * 2


async def test_the_index_follows_what_is_inserted_changed_and_deleted(ready: Database) -> None:
    async def having(words: str) -> int:
        return len(await titles(ready, articles.matching(select(Article), words)))

    async with ready.session() as session:
        session.add(article := Article(title="Zanzibar island"))
    assert await having("zanzibar") == 1
    async with ready.session() as session:
        await session.execute(update(Article).where(Article.id == article.id).values(title="Madagascar", body="lemur"))
    assert (await having("zanzibar"), await having("madagascar lemurs"), await having("lemur")) == (0, 0, 1)
    async with ready.session() as session:
        await session.execute(update(Article).values(body="everywhere"))
    assert (await having("everywhere"), await having("lemur")) == (len(ROWS) + 1, 0)
    async with ready.session() as session:
        await session.execute(delete(Article).where(Article.id == article.id))
    assert (await having("madagascar"), await having("everywhere")) == (0, len(ROWS))


async def test_the_index_is_used(ready: Database) -> None:
    async with ready.session() as session:
        await insert_many(
            session, Article, [{"title": f"filler number{n}", "body": "words " * 20} for n in range(3000)]
        )
    if ready.dialect != "sqlite":
        async with ready.writer.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(f"ANALYZE {'TABLE' * (ready.dialect == 'mysql')} search_articles"))
    statement = articles.matching(select(Article.title), "gipfel")
    compiled = str(statement.compile(dialect=ready.writer.dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN" if ready.dialect == "sqlite" else "EXPLAIN"
    async with ready.writer.connect() as connection:
        plan = str((await connection.exec_driver_sql(f"{explain} {compiled}")).all())
    wanted = {
        "sqlite": "VIRTUAL TABLE INDEX",
        "postgresql": "Bitmap Index Scan on search_articles_search",
        "mysql": "fulltext",
    }
    assert wanted[ready.dialect] in plan
    assert "SCAN search_articles'" not in plan


async def test_the_best_come_first(ready: Database) -> None:
    async with ready.session() as session:
        await insert_many(session, Note, [{"title": "Sonne", "body": "Mond"}, {"title": "Mond Sonne", "body": ""}])
        await insert_many(session, Article, [{"title": "Stern", "body": "x " * 300}, {"title": "Stern Stern Stern"}])
    async with ready.reader() as session:
        by_title = notes.matching(select(Note.title), "mond").order_by(notes.rank("mond").desc())
        assert (await session.scalars(by_title)).all() == ["Mond Sonne", "Sonne"]
        by_index = articles.matching(select(Article.title), "stern").order_by(articles.rank("stern").desc())
        assert (await session.scalars(by_index)).all() == ["Stern Stern Stern", "Stern"]
        assert len((await session.scalars(select(Note.title).order_by(notes.rank(""), Note.title))).all()) > 7


async def test_english_words_are_found_by_their_stem_where_the_database_knows_it(ready: Database) -> None:
    async with ready.session() as session:
        await insert_many(session, Essay, [{"id": 1, "title": "On running shoes"}, {"id": 2, "title": "On shores"}])
    async with ready.reader() as session:
        plain = (await session.scalars(essays.matching(select(Essay.id), "runs"))).all()
        exact = (await session.scalars(essays.matching(select(Essay.id), "running SHOES"))).all()
    assert plain == ([] if ready.dialect == "mysql" else [1])
    assert exact == [1]


async def test_words_go_with_conditions_pages_counts_and_prepared_statements(ready: Database) -> None:
    statement = articles.matching(select(Article).where(Article.body.is_not(None)), "gipfel")
    async with ready.reader() as session:
        assert await session.scalar(select(func.count()).select_from(statement.subquery())) == 2
        twice = articles.matching(articles.matching(select(Article), "gipfel"), "party")
        assert [row.title for row in await session.scalars(twice)] == ["emoji 😀 party"]
    find = prepared(articles.matching(select(Article.title), "gipfel party"))
    assert "to_tsquery" in str(find)
    assert await find.all(ready) == ["emoji 😀 party"]


async def test_a_listing_searches_with_q(ready: Database) -> None:
    app: FastAPI = create_app([battery(ready.settings)])
    query = listing(search=articles, sorts=[Article.title], default="title")

    @app.get("/articles")
    async def read(reader: ReaderDep, page: CursorDep, asked: Listing = Depends(query)) -> CursorPage[str]:  # noqa: FAST002 -- a plain default is shorter
        return await paginate(reader, asked.apply(select(Article.title)), page)

    async with client(app) as http:
        for words in ("gipfel", "GIPFEL", "上海", "", *HOSTILE):
            answer = await http.get(f"/articles?size=1&q={quote(words.encode('utf-8', 'ignore').decode())}")
            assert answer.status_code == 200, (words, answer.text)
        first = (await http.get("/articles?size=1&q=gipfel")).json()
        second = (await http.get(f"/articles?size=1&q=gipfel&cursor={first['next']}")).json()
        assert sorted(first["items"] + second["items"]) == ["emoji 😀 party", "Über allen Gipfeln"]
        assert second["next"] is None
        assert (await http.get(f"/articles?size=1&q=sea&cursor={first['next']}")).status_code == 400


def test_what_cannot_be_searched_says_so() -> None:
    cases: Sequence[tuple[tuple[Any, ...], str | None, str]] = [
        ((), None, "one column or several"),
        ((Note.title, Article.title), None, "of the same table"),
        ((Essay.id,), None, "no column of text"),
        ((Essay.title,), "x'); DROP TABLE x; --", "cannot be in a search"),
    ]
    for columns, language, words in cases:
        with pytest.raises(ConfigurationError, match=words):
            Search(*columns, language=language)


async def test_migrations_make_the_index_check_it_and_take_it_back(database_url: str, tmp_path: Path) -> None:
    settings = DataSettings(url=database_url, migrations=tmp_path / "migrations")
    async with Database(settings) as database:
        metadata = Article.metadata.__class__()
        table = Article.__table__.to_metadata(metadata)  # type: ignore[attr-defined]  # a Table
        table.info = {}
        migrations = Migrations(database, metadata=[metadata])
        await migrations.make()
        await migrations.upgrade()
        assert await migrations.problems() == []
        assert articles.index is not None
        table.info["leyden_searches"] = {articles.index.name: articles.index}

        migrations = Migrations(database, metadata=[metadata])
        assert any("search_articles_search" in problem for problem in await migrations.problems())
        async with database.session() as session:
            await insert_many(session, Article, ROWS)
        (path,) = await migrations.make()
        assert "SearchIndex('search_articles_search'" in path.read_text().replace('"', "'")
        await migrations.upgrade()
        assert await migrations.problems() == []
        assert await titles(database, articles.matching(select(Article), "gipfel")) == [
            "emoji 😀 party",
            "Über allen Gipfeln",
        ]
        await migrations.downgrade()
        assert any("search_articles_search" in problem for problem in await migrations.differences())
        path.write_text(path.read_text().replace(".create(op)", ".create(op, online=True)"))
        await migrations.upgrade()
        assert await migrations.problems() == []


async def test_a_table_that_a_migration_moves_is_told_to_need_its_index_again(tmp_path: Path) -> None:
    settings = DataSettings(url=f"sqlite:///{tmp_path}/a.db")
    async with Database(settings) as database, database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES[1:2]))
        assert articles.index is not None
        assert await connection.run_sync(articles.index.is_there)
        for statement in (
            "CREATE TABLE moved AS SELECT * FROM search_articles",
            "DROP TABLE search_articles",
            "ALTER TABLE moved RENAME TO search_articles",
        ):
            await connection.execute(text(statement))
        assert not await connection.run_sync(articles.index.is_there)
