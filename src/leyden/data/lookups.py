"""One row by its key or a 404, and a PATCH that changes only what was sent."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.interfaces import ORMOption

from leyden.core import ConfigurationError, NotFoundError

M = TypeVar("M")


async def get_or_404(session: AsyncSession, model: type[M], key: Any, *, options: Sequence[ORMOption] = ()) -> M:
    """The row with this primary key; raises NotFoundError when there is none."""
    found = await session.get(model, key, options=options)
    if found is None:
        raise NotFoundError
    return found


def apply(changes: BaseModel, *, to: object) -> None:
    """Set what a request sent, and nothing else, on a mapped instance.

    Fields of a PATCH schema are written `name: str | MISSING = MISSING`: left out changes nothing, null sets None.
    """
    known = inspect(to, raiseerr=True).mapper.attrs
    sent = changes.model_dump(exclude_unset=True)
    if strange := [name for name in sent if name not in known]:
        raise ConfigurationError(
            f"{type(to).__name__} has no {strange[0]}, which {type(changes).__name__} may change. "
            "Rename the field, or set it by hand."
        )
    for name, value in sent.items():
        setattr(to, name, value)
