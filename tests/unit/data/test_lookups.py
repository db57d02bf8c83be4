from collections.abc import AsyncIterator

import pytest
from pydantic import MISSING, BaseModel
from sqlalchemy.orm import Mapped

from leyden.core import ConfigurationError, NotFoundError
from leyden.data import Base, Database, DataSettings, Model, apply, get_or_404, uuid7


class Profile(Model):
    __tablename__ = "lookup_profiles"
    name: Mapped[str]
    bio: Mapped[str | None]
    links: Mapped[list[str]]


class Patch(BaseModel):
    name: str | MISSING = MISSING
    bio: str | MISSING | None = MISSING


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(DataSettings(url="sqlite://")) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(Base.metadata.tables["lookup_profiles"].create)
        yield database


async def test_a_row_is_found_by_its_key_and_what_is_not_there_is_a_404(database: Database) -> None:
    async with database.session() as session:
        session.add(profile := Profile(name="Ada", bio=None, links=[]))
    async with database.reader() as session:
        assert (await get_or_404(session, Profile, profile.id)).name == "Ada"
        with pytest.raises(NotFoundError):
            await get_or_404(session, Profile, uuid7())


@pytest.mark.parametrize(
    ("sent", "name", "bio"),
    [({}, "Ada", "old"), ({"bio": None}, "Ada", None), ({"name": "Eve", "bio": "new"}, "Eve", "new")],
)
def test_a_patch_changes_what_was_sent_and_nothing_else(
    sent: dict[str, str | None], name: str, bio: str | None
) -> None:
    profile = Profile(name="Ada", bio="old", links=[])
    apply(Patch.model_validate(sent), to=profile)
    assert (profile.name, profile.bio) == (name, bio)


def test_a_default_that_nobody_sent_is_no_change() -> None:
    class Careless(BaseModel):
        bio: str | None = None

    profile = Profile(name="Ada", bio="old", links=[])
    apply(Careless(), to=profile)
    assert profile.bio == "old"


def test_a_field_that_the_model_does_not_have_is_refused_before_anything_is_set() -> None:
    class Strange(BaseModel):
        name: str
        nick: str

    profile = Profile(name="Ada", links=[])
    with pytest.raises(ConfigurationError, match="Profile has no nick, which Strange may change"):
        apply(Strange(name="Eve", nick="E"), to=profile)
    assert profile.name == "Ada"
