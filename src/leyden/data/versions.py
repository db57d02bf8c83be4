"""Versions of rows: what changed meanwhile is not overwritten, in the database and over HTTP."""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import async_object_session
from sqlalchemy.orm import InstanceState, Mapped, declared_attr, mapped_column

from leyden.core import ConfigurationError
from leyden.data.errors import (
    MalformedIfMatchError,
    PreconditionFailedError,
    PreconditionRequiredError,
    StaleError,
    UnitOfWorkError,
)

# Possessive: a header of nothing but blanks is read once, not once for each blank. \Z: before a last line feed $ matches
# nothing, for ever.
_ELEMENT = re.compile(r'[ \t]*+(?:(?P<weak>W/)?(?P<tag>"[\x21\x23-\x7e\x80-\xff]*+"))?[ \t]*+(?:,|\Z)')

IF_MATCH_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"description": "If-Match cannot be read"},
    412: {"description": "It has changed since it was read"},
    428: {"description": "If-Match is missing"},
}
"""For `responses=` of an endpoint with IfMatchDep."""


class Versioned:
    """`class Note(Versioned, Model)`: each change counts `version` up, and one made to an old version is a StaleError.

    `update(Note)` counts it up as well. Rows that were there before get version 1 from the migration's default.
    """

    # The second for `update(...)`, the third for rows that know nothing of versions yet.
    version: Mapped[int] = mapped_column(
        default=1, onupdate=text("version + 1"), server_default=text("1"), sort_order=3
    )

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 -- SQLAlchemy's way to write it
        return {"version_id_col": cls.version}


def etag(instance: object) -> str:
    """The strong ETag of this version of a row. Raises UnitOfWorkError while it has changes that are not flushed."""
    state: InstanceState[object] = inspect(instance, raiseerr=True)
    if state.modified or state.transient or state.pending:
        raise UnitOfWorkError(
            f"This {type(instance).__name__} has changes that are not in the database yet, and so no version. "
            "Call `await session.flush()` first, or `await set_etag(response, instance)`."
        )
    return _tag(state)


def _tag(state: InstanceState[object]) -> str:
    """Says nothing of the key or of how often the row was changed."""
    mapper = state.mapper
    if mapper.version_id_col is None:
        raise ConfigurationError(
            f"{mapper.class_.__name__} has no versions. Write class {mapper.class_.__name__}(Versioned, ...)."
        )
    version = state.dict.get(mapper.get_property_by_column(mapper.version_id_col).key)
    named = f"{mapper.local_table}\n{state.identity}\n{version}"
    return f'"{hashlib.blake2b(named.encode(), digest_size=12).hexdigest()}"'


async def set_etag(response: Response, instance: object) -> None:
    """Flush the session of this row and put its ETag into the headers. Raises StaleError like the flush."""
    session = async_object_session(instance)
    if session is not None:
        await session.flush()
    response.headers["ETag"] = etag(instance)


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The header If-Match: the versions a change may be made to. None where it was not sent."""

    tags: frozenset[str] | None = None
    anything: bool = False

    @property
    def sent(self) -> bool:
        return self.tags is not None or self.anything

    def check(self, instance: object) -> None:
        """Raises PreconditionFailedError when the row is another version than the client has read."""
        if self.tags is not None and _tag(inspect(instance, raiseerr=True)) not in self.tags:
            raise PreconditionFailedError


def parse_if_match(header: str | None) -> IfMatch:
    """Raises MalformedIfMatchError. Weak tags are read and match nothing: RFC 9110 compares strongly here."""
    if header is None:
        return IfMatch()
    if header.strip(" \t") == "*":
        return IfMatch(anything=True)
    tags, place = [], 0
    while place < len(header):
        element = _ELEMENT.match(header, place)
        if element is None:
            raise MalformedIfMatchError
        tags.append((element["weak"], element["tag"]))
        place = element.end()
    if not any(tag for _, tag in tags):
        raise MalformedIfMatchError
    return IfMatch(tags=frozenset(tag for weak, tag in tags if tag and not weak))


async def _if_match(
    request: Request,
    _shown: Annotated[
        str | None,
        Header(alias="If-Match", description="The ETag of the version that is to be changed, or several, or *"),
    ] = None,
) -> AsyncIterator[IfMatch]:
    lines = request.headers.getlist("if-match")
    condition = parse_if_match(", ".join(lines) if lines else None)
    try:
        yield condition
    except StaleError as error:
        if not condition.sent:
            raise
        raise PreconditionFailedError from error  # the change that came between was made after `check`


async def _needed(condition: Annotated[IfMatch, Depends(_if_match, scope="request")]) -> IfMatch:
    if not condition.sent:
        raise PreconditionRequiredError
    return condition


# The scope is the longer one: the unit of work, whose commit may find the row changed, ends inside.
OptionalIfMatchDep = Annotated[IfMatch, Depends(_if_match, scope="request")]
IfMatchDep = Annotated[IfMatch, Depends(_needed)]
