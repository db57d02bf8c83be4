"""Versions over HTTP: one of many editors wins, the others are told to read again, on each database."""

import asyncio
import uuid
from typing import Any

import pytest
from fastapi import FastAPI, Response
from pydantic import MISSING, BaseModel, ConfigDict
from sqlalchemy import select, update
from sqlalchemy.orm import Mapped

from leyden import create_app
from leyden import http as leyden_http
from leyden.data import (
    IF_MATCH_ANSWERS,
    Base,
    Database,
    IfMatchDep,
    Model,
    OptionalIfMatchDep,
    ReaderDep,
    SessionDep,
    Versioned,
    apply,
    battery,
    etag,
    get_or_404,
    set_etag,
)
from leyden.testing import client


class Page(Versioned, Model):
    __tablename__ = "versions_pages"

    title: Mapped[str]
    edits: Mapped[int]


class PageRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    title: str
    edits: int


class PagePatch(BaseModel):
    title: str | MISSING = MISSING


def wiki(database: Database) -> FastAPI:
    app = create_app([leyden_http.battery(leyden_http.HttpSettings()), battery(database.settings)], title="Wiki")

    @app.get("/pages/{key}", response_model=PageRead)
    async def read(key: uuid.UUID, session: ReaderDep, response: Response) -> Page:
        page = await get_or_404(session, Page, key)
        await set_etag(response, page)
        return page

    # The dependencies in either order: the unit of work always ends inside.
    @app.patch("/pages/{key}", response_model=PageRead, responses=IF_MATCH_ANSWERS)
    async def change(
        key: uuid.UUID, changes: PagePatch, session: SessionDep, if_match: IfMatchDep, response: Response
    ) -> Page:
        page = await get_or_404(session, Page, key)
        if_match.check(page)
        page.edits += 1
        apply(changes, to=page)
        await set_etag(response, page)
        return page

    @app.put("/pages/{key}", status_code=204)
    async def rename(key: uuid.UUID, changes: PagePatch, if_match: OptionalIfMatchDep, session: SessionDep) -> None:
        page = await get_or_404(session, Page, key)
        if_match.check(page)
        await asyncio.sleep(0.05)
        page.edits += 1
        apply(changes, to=page)

    @app.delete("/pages/{key}", status_code=204, responses=IF_MATCH_ANSWERS)
    async def remove(key: uuid.UUID, session: SessionDep, if_match: IfMatchDep) -> None:
        page = await get_or_404(session, Page, key)
        if_match.check(page)
        await session.delete(page)

    return app


@pytest.fixture
async def ready(database: Database) -> Database:
    async with database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.tables["versions_pages"].create)
    return database


@pytest.fixture
async def page(ready: Database) -> str:
    async with ready.session() as session:
        session.add(made := Page(title="Home", edits=0))
    return f"/pages/{made.id}"


async def only(database: Database) -> Page | None:
    async with database.reader() as session:
        return await session.scalar(select(Page))


async def test_of_twenty_edits_of_one_version_one_is_made_and_the_others_hear_412(ready: Database, page: str) -> None:
    async with client(wiki(ready)) as calling:
        tag = (await calling.get(page)).headers["etag"]
        edits = (
            calling.patch(page, json={"title": f"edit {number}"}, headers={"If-Match": tag}) for number in range(20)
        )
        answers = await asyncio.gather(*edits)
    (made,) = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(412, "precondition_failed")}
    assert "Read it again" in refused[0].json()["detail"]
    kept = await only(ready)
    assert kept is not None
    assert (kept.title, kept.edits, kept.version, etag(kept)) == (made.json()["title"], 1, 2, made.headers["etag"])


async def test_editors_who_read_again_lose_no_change(ready: Database, page: str) -> None:
    async def edit(number: int) -> None:
        while True:
            tag = (await calling.get(page)).headers["etag"]
            answer = await calling.patch(page, json={"title": str(number)}, headers={"If-Match": tag})
            if answer.status_code == 200:
                return
            assert answer.status_code == 412

    async with client(wiki(ready)) as calling:
        await asyncio.gather(*(edit(number) for number in range(5)))
    kept = await only(ready)
    assert kept is not None
    assert (kept.edits, kept.version) == (5, 6)


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg", "mariadb"], indirect=True)
@pytest.mark.parametrize(
    ("sent", "status", "code"), [("If-Match", 412, "precondition_failed"), ("X-Other", 409, "stale")]
)
async def test_a_race_after_the_check_is_412_with_if_match_and_409_without(
    ready: Database, page: str, sent: str, status: int, code: str
) -> None:
    async with client(wiki(ready)) as calling:
        headers = {sent: (await calling.get(page)).headers["etag"]}
        answers = await asyncio.gather(*(calling.put(page, json={"title": "x"}, headers=headers) for _ in range(5)))
    refused = [answer for answer in answers if answer.status_code != 204]
    assert refused
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(status, code)}
    kept = await only(ready)
    assert kept is not None
    assert kept.edits == len(answers) - len(refused)


async def test_only_the_strong_tag_of_the_version_or_a_star_passes(ready: Database, page: str) -> None:
    async with client(wiki(ready)) as calling:

        async def patch(*headers: str) -> tuple[int, Any]:
            sent = [("If-Match", header) for header in headers]
            answer = await calling.patch(page, json={"title": "x"}, headers=sent)
            return answer.status_code, answer.json().get("code")

        async def tag() -> str:
            return str((await calling.get(page)).headers["etag"])

        first = await tag()
        assert await patch() == (428, "precondition_required")
        assert await patch(f"W/{first}") == (412, "precondition_failed")
        assert await patch('"other"') == (412, "precondition_failed")
        assert await patch(first.strip('"')) == (400, "malformed_if_match")
        assert await patch("") == (400, "malformed_if_match")
        assert await patch(f'"a", {first} ,W/"b"') == (200, None)
        assert await patch(first) == (412, "precondition_failed")
        assert await patch('"a"', await tag()) == (200, None)
        assert await patch("*") == (200, None)
        assert (await calling.put(page, json={"title": "x"})).status_code == 204
        assert (await calling.put(page, json={"title": "x"}, headers={"If-Match": first})).status_code == 412
        assert (await calling.delete(page, headers={"If-Match": first})).status_code == 412
        assert (await calling.delete(page, headers={"If-Match": await tag()})).status_code == 204
        assert (await calling.delete(page, headers={"If-Match": "*"})).status_code == 404


async def test_an_update_statement_makes_a_new_version_too(ready: Database, page: str) -> None:
    before = await only(ready)
    async with ready.session() as session:
        await session.execute(update(Page).values(edits=Page.edits + 1))
    after = await only(ready)
    assert before is not None
    assert after is not None
    assert (after.version, after.edits) == (2, 1)
    assert etag(after) != etag(before)


async def test_deleting_what_has_changed_is_refused(ready: Database, page: str) -> None:
    async with client(wiki(ready)) as calling:
        headers = {"If-Match": (await calling.get(page)).headers["etag"]}
        removal = [calling.delete(page, headers=headers) for _ in range(3)]
        statuses = sorted([answer.status_code for answer in await asyncio.gather(*removal)])
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {404, 412}
    assert await only(ready) is None
