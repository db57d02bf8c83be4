"""Sign-in sessions: each is a family of refresh tokens of which at most one works."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Update, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.auth.models import AuthRefreshToken, AuthSession, User
from leyden.auth.tokens import fingerprint, new_refresh_token
from leyden.data import uuid7


@dataclass(frozen=True, slots=True)
class Granted:
    """A session with the one refresh token that works from now on."""

    user_id: UUID
    session_id: UUID
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reused:
    """A refresh token came a second time, so its session has been ended."""

    session_id: UUID


async def open_session(session: AsyncSession, user_id: UUID, *, now: datetime, ttl: timedelta) -> Granted:
    opened = AuthSession(id=uuid7(), user_id=user_id, expires_at=now + ttl)
    session.add(opened)
    await session.flush()
    return await _grant(session, user_id, opened.id, expires_at=now + ttl)


async def rotate(
    session: AsyncSession, refresh_token: str, *, now: datetime, ttl: timedelta
) -> Granted | Reused | None:
    """Trade a refresh token for its successor; None if it does not hold. The caller must commit whatever comes back."""
    token_hash = fingerprint(refresh_token)
    spent = await _changed(session, _spend(token_hash, now))
    session_id = await session.scalar(
        select(AuthRefreshToken.session_id).where(
            AuthRefreshToken.token_hash == token_hash, AuthRefreshToken.used_at.is_not(None)
        )
    )
    if session_id is None:
        return None
    if not spent:
        await end_session(session, session_id, now=now)
        return Reused(session_id)
    if not await _changed(session, _extend(session_id, now, ttl)):
        return None
    user_id = (await session.execute(select(AuthSession.user_id).where(AuthSession.id == session_id))).scalar_one()
    return await _grant(session, user_id, session_id, expires_at=now + ttl)


async def end_session(session: AsyncSession, session_id: UUID, *, now: datetime) -> bool:
    """End a session at once, with all its tokens; False if it had ended already."""
    ended = update(AuthSession).where(AuthSession.id == session_id, AuthSession.ended_at.is_(None))
    return await _changed(session, ended.values(ended_at=now))


def alive(now: datetime) -> ColumnElement[bool]:
    """Whether an AuthSession is neither ended nor expired."""
    return AuthSession.ended_at.is_(None) & (AuthSession.expires_at > now)


def _spend(token_hash: str, now: datetime) -> Update:
    # The database lets one of many concurrent refreshes change the row; the others find it changed.
    return (
        update(AuthRefreshToken)
        .where(
            AuthRefreshToken.token_hash == token_hash,
            AuthRefreshToken.used_at.is_(None),
            AuthRefreshToken.expires_at > now,
        )
        .values(used_at=now)
    )


def _extend(session_id: UUID, now: datetime, ttl: timedelta) -> Update:
    active = select(User.id).where(User.is_active)
    return (
        update(AuthSession)
        .where(AuthSession.id == session_id, alive(now), AuthSession.user_id.in_(active))
        .values(expires_at=now + ttl)
    )


async def _changed(session: AsyncSession, statement: Update) -> bool:
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1


async def _grant(session: AsyncSession, user_id: UUID, session_id: UUID, *, expires_at: datetime) -> Granted:
    refresh_token = new_refresh_token()
    session.add(AuthRefreshToken(session_id=session_id, token_hash=fingerprint(refresh_token), expires_at=expires_at))
    await session.flush()
    return Granted(user_id, session_id, refresh_token)
