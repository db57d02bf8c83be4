import string
import uuid
from contextlib import suppress

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from leyden.core import ConfigurationError
from leyden.data import (
    IF_MATCH_ANSWERS,
    IfMatchDep,
    MalformedIfMatchError,
    Model,
    PreconditionFailedError,
    Versioned,
    etag,
    uuid7,
)
from leyden.data.errors import PreconditionRequiredError, UnitOfWorkError
from leyden.data.versions import parse_if_match


class Sheet(Versioned, Model):
    __tablename__ = "version_sheets"
    title: Mapped[str]


class Loose(Model):
    __tablename__ = "version_loose"


def stored(version: int, key: uuid.UUID | None = None) -> Sheet:
    """As if it had been read from the database."""
    sheet = Sheet(id=key or uuid7(), title="a", version=version)
    session = AsyncSession().sync_session
    session.add(sheet)
    state = sheet._sa_instance_state  # type: ignore[attr-defined]  # SQLAlchemy's own
    session._register_persistent({state})
    state._commit_all(state.dict)
    return sheet


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ('"a"', {'"a"'}),
        (' "a" ,"b",\t"c"', {'"a"', '"b"', '"c"'}),
        ('"a,b", ""', {'"a,b"', '""'}),
        (',, "a" ,', {'"a"'}),
        ('W/"a"', set()),
        ('W/"a", "b"', {'"b"'}),
        ('"é"', {'"é"'}),
        ('"*"', {'"*"'}),
    ],
)
def test_a_list_of_tags_is_read_and_weak_ones_match_nothing(header: str, tags: set[str]) -> None:
    found = parse_if_match(header)
    assert (set(found.tags or ()), found.anything, found.sent) == (tags, False, True)


def test_a_star_is_anything_and_no_header_is_nothing() -> None:
    assert parse_if_match(" * ").anything
    assert not parse_if_match(None).sent
    parse_if_match("*").check(stored(1))
    parse_if_match(None).check(stored(1))


@pytest.mark.parametrize(
    "header", ["", " ", ",", "a", '"a', 'a"', '"a" "b"', "*, *", '"a", *', 'w/"a"', 'W/ "a"', '"a"b', '"a\tb"', "'a'"]
)
def test_what_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(MalformedIfMatchError):
        parse_if_match(header)


@pytest.mark.parametrize("header", ["\n", '"a"\n', '"a", \n'])
def test_a_line_feed_at_the_end_is_refused_and_not_read_for_ever(header: str) -> None:
    with pytest.raises(MalformedIfMatchError):
        parse_if_match(header)


@given(st.text(alphabet=string.printable + "é", max_size=200))
def test_no_header_is_more_than_refused(header: str) -> None:
    with suppress(MalformedIfMatchError):
        assert parse_if_match(header).sent


def test_a_long_header_is_read_in_a_moment() -> None:
    assert parse_if_match(", ".join(['"a"'] * 100_000)).tags == frozenset({'"a"'})
    with pytest.raises(MalformedIfMatchError):
        parse_if_match(" \t" * 100_000 + "x")


def test_the_tag_is_strong_and_differs_by_row_and_by_version() -> None:
    key = uuid7()
    tags = [etag(stored(1, key)), etag(stored(2, key)), etag(stored(1))]
    assert len(set(tags)) == 3
    assert etag(stored(1, key)) == tags[0]
    assert all(tag.startswith('"') and tag.endswith('"') and tag.isascii() for tag in tags)


def test_the_check_passes_the_version_that_was_read_and_no_other_also_after_a_change_in_memory() -> None:
    sheet = stored(3)
    condition = parse_if_match(etag(sheet))
    sheet.title = "b"
    condition.check(sheet)
    with pytest.raises(PreconditionFailedError, match="Read it again"):
        condition.check(stored(4, sheet.id))


def test_what_is_not_in_the_database_yet_has_no_tag() -> None:
    sheet = stored(1)
    sheet.title = "b"
    for unsaved in (sheet, Sheet(title="a")):
        with pytest.raises(UnitOfWorkError, match="flush"):
            etag(unsaved)


def test_a_model_without_versions_is_told_how_to_get_them() -> None:
    loose = Loose(id=uuid7())
    with pytest.raises(ConfigurationError, match=r"class Loose\(Versioned, \.\.\.\)"):
        parse_if_match('"a"').check(loose)


def test_the_answers_shown_in_openapi_are_those_that_are_given() -> None:
    errors = (MalformedIfMatchError, PreconditionFailedError, PreconditionRequiredError)
    assert set(IF_MATCH_ANSWERS) == {error.status for error in errors}


def test_openapi_shows_the_header_and_the_answers() -> None:
    app = FastAPI()

    @app.patch("/sheets", responses=IF_MATCH_ANSWERS)
    async def change(if_match: IfMatchDep) -> None: ...

    operation = app.openapi()["paths"]["/sheets"]["patch"]
    assert [(found["name"], found["in"]) for found in operation["parameters"]] == [("If-Match", "header")]
    assert {"400", "412", "428"} <= set(operation["responses"])
