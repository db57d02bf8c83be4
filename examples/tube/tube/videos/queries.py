"""Which videos somebody may see, list and find, as conditions to put into a select."""

from typing import Any

from leyden.auth import User
from leyden.data import Base, Search, prepared
from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, true
from sqlalchemy.orm import contains_eager, selectinload

from tube.channels.models import Channel
from tube.videos.models import Video, VideoTag, Visibility

# Anywhere in a word, in capitals or not, on every database; an index would find words by their beginnings only.
in_text = Search(Video.title, Video.description)
in_tags = Search(VideoTag.name)

# The tags that most public videos have.
popular_tags = prepared(
    select(VideoTag.name)
    .join(Video, Video.id == VideoTag.video_id)
    .where(Video.visibility == Visibility.PUBLIC)
    .group_by(VideoTag.name)
    .order_by(func.count().desc(), VideoTag.name)
    .limit(bindparam("most"))
)


def videos() -> Select[Video]:
    """Videos with their channel (by a join) and tags (by one more query), newest first."""
    return (
        select(Video)
        .join(Video.channel)
        .options(contains_eager(Video.channel), selectinload(Video.labels))
        .order_by(Video.created_at.desc(), Video.id.desc())
    )


TAGS_APART = "\n"
"""Between the tags of one video; none has a line end in it."""


def videos_of(user: User) -> Select[*tuple[Any, ...]]:
    """Everything this user has made, oldest first: columns, with the tags as one text."""
    tags = select(func.aggregate_strings(VideoTag.name, TAGS_APART)).where(VideoTag.video_id == Video.id)
    columns = (Video.title, Video.description, Video.visibility, Video.created_at, Video.updated_at)
    return (
        select(
            Video.id, Channel.handle.label("channel"), *columns, func.coalesce(tags.scalar_subquery(), "").label("tags")
        )
        .join(Video.channel)
        .where(Channel.owner_id == user.id)
        .order_by(Video.created_at, Video.id)
    )


def seen_by(user: User | None) -> ColumnElement[bool]:
    """What this user may open; None is a visitor who has not signed in."""
    return or_(Video.visibility.in_((Visibility.PUBLIC, Visibility.UNLISTED)), *_own(user))


def listed_for(user: User | None) -> ColumnElement[bool]:
    """What this user finds in lists: everything public, and everything of their own."""
    return or_(Video.visibility == Visibility.PUBLIC, *_own(user))


def matching(words: str = "", *, tag: str | None = None, channel: str | None = None) -> ColumnElement[bool]:
    """Videos in which every word occurs in title, description or tags, in upper or lower case."""
    conditions = [_mentions(word) for word in words.split()]
    if tag is not None:
        conditions.append(Video.labels.any(VideoTag.name == tag))
    if channel is not None:
        conditions.append(Channel.handle == channel)
    return and_(true(), *conditions)


def _own(user: User | None) -> list[ColumnElement[bool]]:
    return [Channel.owner_id == user.id] if user else []


def _mentions(word: str) -> ColumnElement[bool]:
    """In one of three places, of which one is another table."""
    return or_(_in(in_text, Video, word), Video.labels.any(_in(in_tags, VideoTag, word)))


def _in(search: Search, model: type[Base], word: str) -> ColumnElement[bool]:
    condition = search.matching(select(model), word).whereclause
    return true() if condition is None else condition
