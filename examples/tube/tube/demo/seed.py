"""Puts the demonstration data of content.toml into the database, once."""

import secrets
import tomllib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from leyden.auth import Accounts, User
from rich.progress import Progress
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tube.channels.models import Channel
from tube.videos.models import Video
from tube.wallet.ledger import grant

CONTENT = Path(__file__).with_name("content.toml")
BETWEEN_VIDEOS = timedelta(hours=41)

Content = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Login:
    email: str
    password: str = field(repr=False)


async def seed(session: AsyncSession, accounts: Accounts, progress: Progress) -> list[Login]:
    """Add everything in the caller's transaction; nothing, and no logins, when any of it is there already.

    The caller holds a lock, so that two of these never run at once.
    """
    content: Content = tomllib.loads(CONTENT.read_text(encoding="utf-8"))
    if await _seeded(session, content):
        return []
    logins, owners = await _register(session, accounts, progress.track(content["people"], description="Accounts"))
    for person in content["people"]:
        await grant(session, owners[person["email"]], person["cents"])
    channels = {new["handle"]: _channel(owners, **new) for new in content["channels"]}
    session.add_all(channels.values())
    session.add_all(_videos(channels, progress.track(content["videos"], description="Videos")))
    await session.flush()
    return logins


async def _seeded(session: AsyncSession, content: Content) -> bool:
    """Whether a person or a channel of the content is there, left by an earlier call or made by somebody else."""
    emails = [person["email"] for person in content["people"]]
    handles = [channel["handle"] for channel in content["channels"]]
    person = await session.scalar(select(User.id).where(User.email_key.in_(emails)).limit(1))
    channel = await session.scalar(select(Channel.id).where(Channel.handle.in_(handles)).limit(1))
    return person is not None or channel is not None


async def _register(
    session: AsyncSession, accounts: Accounts, people: Iterable[dict[str, Any]]
) -> tuple[list[Login], dict[str, uuid.UUID]]:
    logins, owners = [], {}
    for person in people:
        login = Login(person["email"], secrets.token_urlsafe(12))
        user = await accounts.register(session, email=login.email, password=login.password, name=person["name"])
        logins.append(login)
        owners[login.email] = user.id
    return logins, owners


def _channel(owners: dict[str, uuid.UUID], *, owner: str, **values: str) -> Channel:
    return Channel(owner_id=owners[owner], **values)


def _videos(channels: dict[str, Channel], content: Iterable[dict[str, Any]]) -> Iterator[Video]:
    now = datetime.now(UTC)
    for age, new in enumerate(content):
        at = now - BETWEEN_VIDEOS * age
        yield Video(**new | {"channel": channels[new["channel"]], "created_at": at, "updated_at": at})
