"""The parts of a dashboard: asked for at once, each in a session of its own, and done without where one is late."""

import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from leyden.core import Outcome, gather_limited
from leyden.data import Database, DatabaseBusyError, prepared
from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tube.dashboard.schemas import MissingPart, Money, NewVideo, PartName, TagNumber, VideoNumbers
from tube.videos.models import Video, VideoTag
from tube.wallet.ledger import find_wallet
from tube.wallet.models import CURRENCY, Transfer

log = logging.getLogger(__name__)

DEADLINE = 1.0
"""Seconds, for all parts together."""
AT_ONCE = 3
"""Connections that one dashboard may take."""
LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose dashboard it is, and when."""

    channel_id: uuid.UUID
    owner_id: uuid.UUID
    now: datetime


Part = Callable[[AsyncSession, Subject], Awaitable[Any]]

_of_channel = Video.channel_id == bindparam("channel_id")
_lately = Transfer.created_at >= bindparam("since")
_sum = select(func.coalesce(func.sum(Transfer.amount), 0))

count_videos = prepared(
    select(Video.visibility, func.count().label("videos")).where(_of_channel).group_by(Video.visibility)
)
find_newest = prepared(
    select(Video.id, Video.title, Video.visibility, Video.created_at)
    .where(_of_channel)
    .order_by(Video.created_at.desc(), Video.id.desc())
    .limit(5),
    into=NewVideo,
)
count_tags = prepared(
    select(VideoTag.name, func.count().label("videos"))
    .join(Video, Video.id == VideoTag.video_id)
    .where(_of_channel)
    .group_by(VideoTag.name)
    .order_by(func.count().desc(), VideoTag.name)
    .limit(10),
    into=TagNumber,
)
sum_received = prepared(_sum.where(Transfer.recipient_id == bindparam("wallet_id"), _lately))
sum_sent = prepared(_sum.where(Transfer.sender_id == bindparam("wallet_id"), _lately))


async def videos(session: AsyncSession, subject: Subject) -> VideoNumbers:
    rows = await count_videos.all(session, channel_id=subject.channel_id)
    return VideoNumbers(**{row.visibility: row.videos for row in rows})


async def newest(session: AsyncSession, subject: Subject) -> list[NewVideo]:
    return await find_newest.all(session, channel_id=subject.channel_id)


async def tags(session: AsyncSession, subject: Subject) -> list[TagNumber]:
    return await count_tags.all(session, channel_id=subject.channel_id)


async def money(session: AsyncSession, subject: Subject) -> Money:
    wallet = await find_wallet(session, user_id=subject.owner_id)
    if wallet is None:  # it is made when its owner first asks for it
        return Money(balance=0, currency=CURRENCY, received=0, sent=0)
    asked = {"wallet_id": wallet.id, "since": subject.now - LATELY}
    received, sent = await sum_received(session, **asked), await sum_sent(session, **asked)
    return Money(balance=wallet.balance, currency=wallet.currency, received=received, sent=sent)


PARTS: dict[PartName, Part] = {"videos": videos, "newest": newest, "tags": tags, "money": money}


async def parts_of(database: Database, subject: Subject) -> tuple[dict[PartName, Any], list[MissingPart]]:
    """What could be had before the deadline, with None for what could not, and why."""

    async def ask(part: Part) -> Any:
        async with database.reader() as session:  # never one for all: a session does one thing at a time
            return await part(session, subject)

    asked = [ask(part) for part in PARTS.values()]
    outcomes = dict(zip(PARTS, await gather_limited(asked, limit=AT_ONCE, timeout=DEADLINE), strict=True))
    missing = [_missing(name, outcome) for name, outcome in outcomes.items() if not outcome.ok]
    return {name: outcome.value for name, outcome in outcomes.items()}, missing


def _missing(name: PartName, outcome: Outcome[Any]) -> MissingPart:
    if isinstance(outcome.error, TimeoutError | DatabaseBusyError):
        return MissingPart(part=name, reason="late")
    log.error("The part '%s' of a dashboard failed", name, exc_info=outcome.error)
    return MissingPart(part=name, reason="failed")
