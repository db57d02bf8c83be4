"""Pages of a list: number, size and total."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar, overload

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

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
    total: int
    pages: int


async def _page_params(
    page: Annotated[int, Query(ge=1, le=LAST_PAGE, description="The number of the page, from 1")] = 1,
    size: Annotated[int, Query(ge=1, le=100, description="How many items a page has")] = 20,
) -> PageParams:
    return PageParams(page=page, size=size)


PageDep = Annotated[PageParams, Depends(_page_params)]


@overload
async def paginate(session: AsyncSession, statement: Select[T], page: PageParams) -> Page[T]: ...
@overload
async def paginate(session: AsyncSession, statement: Select[Any], page: PageParams, *, into: type[S]) -> Page[S]: ...
async def paginate(
    session: AsyncSession, statement: Select[Any], page: PageParams, *, into: type[BaseModel] | None = None
) -> Page[Any]:
    """One page of a statement's rows, as `into` if that is given; ordered by primary key if by nothing else."""
    counted = select(func.count()).select_from(statement.order_by(None).subquery())
    total = await session.scalar(counted) or 0
    rows: Sequence[Any] = ()
    if page.offset < total:
        result = await session.execute(_ordered(statement).limit(page.size).offset(page.offset))
        single = len(statement.column_descriptions) == 1
        rows = result.unique().scalars().all() if single else result.unique().all()
    items = list(rows) if into is None else [into.model_validate(row, from_attributes=True) for row in rows]
    return Page[Any].model_construct(
        items=items, page=page.page, size=page.size, total=total, pages=-(-total // page.size)
    )


def _ordered(statement: Select[Any]) -> Select[Any]:
    """Without an order the database may show a row on two pages and another on none."""
    if statement._order_by_clauses:  # noqa: SLF001 -- SQLAlchemy shows it nowhere else
        return statement
    entity = statement.column_descriptions[0].get("entity")
    mapper = inspect(entity, raiseerr=False) if entity is not None else None
    return statement.order_by(*mapper.primary_key) if isinstance(mapper, Mapper) else statement
