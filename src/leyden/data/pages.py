"""Pages of a list: by number with a total, or by cursor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, overload

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Result, Row, Select, inspect
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from leyden.core import ConfigurationError
from leyden.data.cursors import CursorParams, Cursors, Position, signing_key
from leyden.data.errors import InvalidCursorError
from leyden.data.keysets import Keyset
from leyden.data.totals import Total, counted, estimated

T = TypeVar("T")
S = TypeVar("S", bound=BaseModel)

LAST_PAGE = 1_000_000
"""With 100 items a page the offset stays in a 32-bit integer, which is what PostgreSQL's driver sends."""


class PageParams(BaseModel):
    """Which page: numbers start at 1."""

    model_config = ConfigDict(frozen=True)

    page: int = 1
    size: int = 20

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.size


class Page(BaseModel, Generic[T]):
    """One page of a list, and how many there are in all."""

    items: list[T]
    page: int
    size: int
    total: int | None = Field(description="How many items there are in all; null where they are not counted")
    pages: int | None = Field(description="How many pages there are; null where the items are not counted")
    estimated: bool = Field(
        default=False, exclude_if=lambda estimate: not estimate, description="True where the total is an estimate"
    )
    has_next: bool | None = Field(
        default=None,
        exclude_if=lambda more: more is None,
        description="Whether another page follows; there where the items are not counted",
    )


class CursorPage(BaseModel, Generic[T]):
    """One page of a list, and the cursors of the pages beside it."""

    items: list[T]
    size: int
    next: str | None = Field(description="The cursor of the next page; null on the last one")
    previous: str | None = Field(description="The cursor of the page before; null on the first one")
    total: int | None = Field(
        default=None,
        exclude_if=lambda total: total is None,
        description="How many items there are in all; left out where they are not counted",
    )
    estimated: bool = Field(
        default=False, exclude_if=lambda estimate: not estimate, description="True where the total is an estimate"
    )


async def _page_params(
    page: Annotated[int, Query(ge=1, le=LAST_PAGE, description="The number of the page, from 1")] = 1,
    size: Annotated[int, Query(ge=1, le=100, description="How many items a page has")] = 20,
) -> PageParams:
    return PageParams(page=page, size=size)


PageDep = Annotated[PageParams, Depends(_page_params)]


Rows = Select[*tuple[Any, ...]]
"""A statement of any columns."""


@overload
async def paginate(
    session: AsyncSession, statement: Select[T], page: PageParams, *, total: Total | None = None
) -> Page[T]: ...
@overload
async def paginate(
    session: AsyncSession, statement: Rows, page: PageParams, *, total: Total | None = None
) -> Page[Any]: ...
@overload
async def paginate(
    session: AsyncSession, statement: Rows, page: PageParams, *, into: type[S], total: Total | None = None
) -> Page[S]: ...
@overload
async def paginate(
    session: AsyncSession, statement: Select[T], page: CursorParams, *, total: Total | None = None
) -> CursorPage[T]: ...
@overload
async def paginate(
    session: AsyncSession, statement: Rows, page: CursorParams, *, total: Total | None = None
) -> CursorPage[Any]: ...
@overload
async def paginate(
    session: AsyncSession, statement: Rows, page: CursorParams, *, into: type[S], total: Total | None = None
) -> CursorPage[S]: ...
async def paginate(
    session: AsyncSession,
    statement: Rows,
    page: PageParams | CursorParams,
    *,
    into: type[BaseModel] | None = None,
    total: Total | None = None,
) -> Page[Any] | CursorPage[Any]:
    """One page of a statement's rows, as `into` if that is given; ordered by primary key if by nothing else.

    Numbered pages have an exact total, cursor pages have none; `total` says otherwise.
    Raises InvalidCursorError for a cursor that is not of this list.
    """
    if isinstance(page, CursorParams):
        return await _by_cursor(session, statement, page, into, total or Total.NONE)
    if total in (None, Total.EXACT):
        return await _counted_page(session, statement, page, into)
    return await _uncounted_page(session, statement, page, into, total or Total.NONE)


async def _counted_page(
    session: AsyncSession, statement: Rows, page: PageParams, into: type[BaseModel] | None
) -> Page[Any]:
    total = await counted(session, statement)
    rows: Sequence[Any] = ()
    if page.offset < total:
        result = await session.execute(_ordered(statement).limit(page.size).offset(page.offset))
        rows = _rows(result, statement)
    return _page(page, _shaped(rows, statement, into), total)


async def _uncounted_page(
    session: AsyncSession, statement: Rows, page: PageParams, into: type[BaseModel] | None, total: Total
) -> Page[Any]:
    """One row more than the page has tells whether another follows; the last page needs no estimate."""
    result = await session.execute(_ordered(statement).limit(page.size + 1).offset(page.offset))
    rows = _rows(result, statement)
    more = len(rows) > page.size
    items = _shaped(rows[: page.size], statement, into)
    if total is Total.NONE:
        return _page(page, items, None, has_next=more)
    seen = page.offset + len(rows)
    if not more and (rows or page.page == 1):
        return _page(page, items, seen, has_next=False)
    found, guessed = await estimated(session, statement)
    if not rows:  # a page beyond the last
        return _page(page, items, min(found, page.offset), estimated=guessed, has_next=False)
    return _page(page, items, max(found, seen), estimated=guessed, has_next=more)


def _page(page: PageParams, items: list[Any], total: int | None, **more: Any) -> Page[Any]:
    pages = None if total is None else -(-total // page.size)
    return Page[Any].model_construct(items=items, page=page.page, size=page.size, total=total, pages=pages, **more)


def _ordered(statement: Rows) -> Rows:
    """Without an order the database may show a row on two pages and another on none."""
    if statement._order_by_clauses:  # noqa: SLF001 -- SQLAlchemy shows it nowhere else
        return statement
    entity = statement.column_descriptions[0].get("entity")
    mapper = inspect(entity, raiseerr=False) if entity is not None else None
    return statement.order_by(*mapper.primary_key) if isinstance(mapper, Mapper) else statement


def _rows(result: Result[Any], statement: Rows) -> Sequence[Row[Any]]:
    """Joins repeat an entity, which is shown once; equal values of plain columns are rows of their own."""
    repeats = any(described["expr"] is described.get("entity") for described in statement.column_descriptions)
    return result.unique().all() if repeats else result.all()


def _shaped(rows: Sequence[Row[Any]], statement: Rows, into: type[BaseModel] | None) -> list[Any]:
    single = len(statement.column_descriptions) == 1
    found = [row[0] for row in rows] if single else rows
    return list(found) if into is None else [into.model_validate(each, from_attributes=True) for each in found]


@dataclass(frozen=True, slots=True)
class _Window:
    """The rows that were found beside a position, in the order of the list."""

    rows: Sequence[Row[Any]]
    keys: Sequence[tuple[Any, ...]]
    more: bool


async def _by_cursor(
    session: AsyncSession, statement: Rows, page: CursorParams, into: type[BaseModel] | None, total: Total
) -> CursorPage[Any]:
    if page.size < 1:
        raise ConfigurationError("A page has at least one item. Make CursorParams with a size of 1 or more.")
    keyset = Keyset.of(statement, session.get_bind().dialect.name)
    cursors = await _cursors(page, keyset)
    place = None if page.cursor is None else cursors.read(page.cursor)
    if place is not None and len(place.values) != len(keyset.keys):
        raise InvalidCursorError
    window = await _window(session, statement, keyset, place, page.size)
    after, before = _beside(place, window)
    return CursorPage[Any].model_construct(
        items=_shaped(window.rows, statement, into),
        size=page.size,
        next=None if after is None else cursors.write(after),
        previous=None if before is None else cursors.write(before),
        **await _totalled(session, statement, total),
    )


async def _cursors(page: CursorParams, keyset: Keyset) -> Cursors:
    context = page.context if isinstance(page.context, str) else page.context()
    return Cursors(await signing_key(page.database.settings), f"{keyset}\n{context}")


async def _window(session: AsyncSession, statement: Rows, keyset: Keyset, place: Position | None, size: int) -> _Window:
    backward = place is not None and place.backward
    wanted = statement.add_columns(*keyset.columns()).order_by(None).order_by(*keyset.order(backward=backward))
    found: list[Row[Any]] = []
    for stretch in _stretches(wanted, keyset, place):
        result = await session.execute(stretch.limit(size + 1 - len(found)))
        several = result._unique_filter_state is not None  # noqa: SLF001 -- collections are joined in: a row is no item
        found += (result.unique() if several else result).all()
        if len(found) > size:
            break
    more, kept = len(found) > size, found[:size]
    if backward:
        kept.reverse()
    width = len(statement.column_descriptions)
    unique = {tuple(row[width:]): row for row in kept}  # a join may repeat a row, which is shown once
    return _Window(_narrowed(list(unique.values()), width), list(unique), more)


def _stretches(wanted: Rows, keyset: Keyset, place: Position | None) -> Iterator[Rows]:
    """The statements that one after the other have the rows beyond a place; the first is enough nearly always."""
    if place is None:
        yield wanted
        return
    grouped = bool(wanted._group_by_clauses)  # noqa: SLF001 -- as above
    for condition in keyset.beyond(place.values, backward=place.backward, inclusive=place.inclusive):
        yield wanted.having(condition) if grouped else wanted.where(condition)


def _narrowed(rows: Sequence[Row[Any]], width: int) -> Sequence[Row[Any]]:
    """The rows without the values that were asked for beside them."""
    if not rows:
        return rows
    shape = SimpleResultMetaData(list(rows[0]._fields[:width]))
    narrow: Result[Any] = IteratorResult(shape, iter([tuple(row[:width]) for row in rows]))
    return narrow.all()


def _beside(place: Position | None, window: _Window) -> tuple[Position | None, Position | None]:
    """Where the next page begins and where the page before ends; None where there is none."""
    backward = place is not None and place.backward
    if not window.keys:  # all beyond the place is gone; what was on its other side is not, nor is perhaps its own row
        back = place and Position(place.values, backward=not backward, inclusive=not place.inclusive)
        return (back, None) if backward else (None, back)
    after = Position(window.keys[-1]) if window.more or backward else None
    before = Position(window.keys[0], backward=True) if (window.more if backward else place is not None) else None
    return after, before


async def _totalled(session: AsyncSession, statement: Rows, total: Total) -> dict[str, Any]:
    if total is Total.NONE:
        return {}
    if total is Total.EXACT:
        return {"total": await counted(session, statement)}
    found, guessed = await estimated(session, statement)
    return {"total": found, "estimated": guessed}
