"""Many changes in one unit of work, each with an outcome of its own."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import isawaitable
from itertools import islice
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from leyden.core import LeydenError, Outcome
from leyden.data.errors import TooManyItemsError
from leyden.data.savepoints import SERVER_FAULT, flush_first, savepoint

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 -- an item

MOST_ITEMS = 1000
"""What `batch` takes at most unless told otherwise; each item costs at least two round trips."""


async def batch(
    session: AsyncSession,
    items: Iterable[I],
    work: Callable[[AsyncSession, I], Awaitable[T]],
    *,
    most: int = MOST_ITEMS,
) -> list[Outcome[T]]:
    """Do `work(session, item)` for one item after the other, each in a savepoint, and return one outcome each, in order.

    A LeydenError below 500, which is also what the database refuses, takes back its item alone. Anything else ends the
    batch: it is raised, and the unit of work takes everything back. Raises TooManyItemsError before doing anything.
    """
    todo = list(islice(items, most + 1))
    if len(todo) > most:
        raise TooManyItemsError(most=most)
    await flush_first(session)
    return [await _outcome(session, item, work) for item in todo]


async def _outcome(session: AsyncSession, item: I, work: Callable[[AsyncSession, I], Awaitable[T]]) -> Outcome[T]:
    try:
        async with savepoint(session):
            return Outcome(value=await work(session, item))
    except LeydenError as error:
        if error.status >= SERVER_FAULT:
            raise
        return Outcome(error=error)


class ItemField(BaseModel):
    """What is wrong with one field of an item."""

    field: str
    code: str
    message: str


class ItemProblem(BaseModel):
    """Why one item was refused: what the problem document would say had it been sent alone."""

    title: str | None = None
    detail: str
    code: str
    errors: list[ItemField] | None = None


class BatchItem(BaseModel, Generic[T]):
    """How one item of a batch ended: `index` is its place in the request; it has a value or a problem."""

    index: int
    status: int
    value: T | None = None
    problem: ItemProblem | None = None


async def batch_answer(
    request: Request, outcomes: Sequence[Outcome[Any]], *, into: type[T], status: int = 200
) -> list[BatchItem[T]]:
    """Outcomes as an endpoint returns them: values as `into` with `status`, errors as problems in the caller's language."""
    return [await _item(request, index, outcome, into, status) for index, outcome in enumerate(outcomes)]


async def _item(request: Request, index: int, outcome: Outcome[Any], into: type[T], status: int) -> BatchItem[T]:
    kind = BatchItem[into]  # type: ignore[valid-type]  # pydantic makes a class of it while the program runs
    if isinstance(error := outcome.error, LeydenError):
        return kind(index=index, status=error.status, problem=await _problem(request, error))
    return kind.model_validate({"index": index, "status": status, "value": outcome.result()}, from_attributes=True)


async def _problem(request: Request, error: LeydenError) -> ItemProblem:
    """The app's own handler knows how its errors are told, and in which language."""
    handlers = request.app.exception_handlers
    if handler := next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None):
        answered = handler(request, error)
        response = await answered if isawaitable(answered) else answered
        try:
            return ItemProblem.model_validate_json(response.body)
        except ValidationError:  # a handler of the app's own, with another form
            return _plain(error)
    return _plain(error)


def _plain(error: LeydenError) -> ItemProblem:
    errors = [ItemField(field=wrong.field, code=wrong.code, message=wrong.message) for wrong in error.fields]
    return ItemProblem(detail=error.detail, code=error.code, errors=errors or None)
