"""Accounts: what a user can do before and after signing in, without HTTP."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.auth.emails import clean_email, email_key
from leyden.auth.errors import EmailTakenError, InvalidCredentialsError, InvalidRefreshTokenError, InvalidTokenError
from leyden.auth.events import RefreshTokenReused, SignedIn, SignInFailed
from leyden.auth.models import AuthSession, User
from leyden.auth.passwords import Passwords, refuse_weak
from leyden.auth.schemas import TokenPair
from leyden.auth.sessions import Granted, Reused, alive, end_session, open_session, rotate
from leyden.auth.tokens import AccessTokens
from leyden.core import Clock, Events, resource
from leyden.data import Database

_OLDEST = 10_000
"""How many accounts are looked through for hashes that today's parameters would not give."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user in one of their sessions: what `identity_of(connection)` gives."""

    user: User
    session_id: UUID

    @property
    def subject(self) -> str:
        return str(self.user.id)


class Accounts:
    """Registers users, signs them in and out, and knows who calls."""

    def __init__(
        self,
        *,
        database: Database,
        tokens: AccessTokens,
        passwords: Passwords,
        refresh_ttl: timedelta,
        clock: Clock,
        events: Events,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._refresh_ttl = refresh_ttl
        self._clock = clock
        self._events = events
        self._met = False
        self._meeting = asyncio.Lock()

    async def register(
        self, session: AsyncSession, *, email: str, password: str, name: str = "", superuser: bool = False
    ) -> User:
        """Add an account in the caller's unit of work.

        Raises InvalidEmailError, WeakPasswordError, or EmailTakenError, after which the unit of work is of no more use.
        """
        address = clean_email(email)
        refuse_weak(password, email=address)
        hashed = await self._passwords.hash(password)
        user = User(
            email=address, email_key=email_key(address), name=name, password_hash=hashed, is_superuser=superuser
        )
        await session.flush()  # what the caller has changed is the caller's: only what comes now is about the account
        session.add(user)
        try:
            await session.flush()
        except IntegrityError as error:
            if self._is_taken(error):
                raise EmailTakenError from error
            raise
        return user

    async def login(self, *, email: str, password: str) -> TokenPair:
        """Open a session. Raises InvalidCredentialsError, the same and as late for whatever is wrong."""
        await self._meet_hashes()
        async with self._database.reader() as reader:
            found = (await reader.execute(_credentials(email))).one_or_none()
        # No connection is held here: the hash may have to wait for its turn.
        verdict = await self._passwords.verify(password, found.password_hash if found else None)
        if found is None or not verdict.right:
            self._events.emit(SignInFailed(found.id if found else None))
            raise InvalidCredentialsError
        async with self._database.session() as session:
            if verdict.renewed is not None:
                await _replace_hash(session, found.id, found.password_hash, verdict.renewed)
            granted = await open_session(session, found.id, now=self._clock.now(), ttl=self._refresh_ttl)
        self._events.emit(SignedIn(granted.user_id, granted.session_id))
        return self._pair(granted)

    async def _meet_hashes(self) -> None:
        """Before the first login of this process: what the hashes of others cost, which a refusal has to cost as well."""
        async with self._meeting:
            if self._met:
                return
            async with self._database.reader() as reader:
                self._passwords.meet(await reader.scalars(_outdated(self._passwords.today)))
            self._met = True

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Trade a refresh token for a new pair, once; a second time ends the session. Raises InvalidRefreshTokenError."""
        async with self._database.session() as session:
            outcome = await rotate(session, refresh_token, now=self._clock.now(), ttl=self._refresh_ttl)
        # Refuse only here: what a reused token has ended must be committed first.
        if isinstance(outcome, Reused):
            self._events.emit(RefreshTokenReused(outcome.session_id))
        if not isinstance(outcome, Granted):
            raise InvalidRefreshTokenError
        return self._pair(outcome)

    async def logout(self, session_id: UUID) -> None:
        """End a session: its access tokens and its refresh token are refused from now on, everywhere."""
        async with self._database.session() as session:
            await end_session(session, session_id, now=self._clock.now())

    async def caller(self, access_token: str) -> Caller:
        """Who this access token speaks for, if the session lives and the user is active. Raises InvalidTokenError."""
        now = self._clock.now()
        claims = self._tokens.read(access_token, now=now)
        async with self._database.reader() as reader:
            user = await reader.scalar(
                select(User)
                .join(AuthSession, AuthSession.user_id == User.id)
                .where(AuthSession.id == claims.session_id, User.id == claims.user_id, User.is_active, alive(now))
            )
        if user is None:
            raise InvalidTokenError
        return Caller(user, claims.session_id)

    def _is_taken(self, error: IntegrityError) -> bool:
        violation = self._database.backend.violation(error)
        if violation is None or violation.kind != "unique":
            return False
        return violation.columns == ("email_key",) or (violation.constraint or "").endswith("_email_key")

    def _pair(self, granted: Granted) -> TokenPair:
        access_token = self._tokens.issue(granted.user_id, granted.session_id, now=self._clock.now())
        return TokenPair(
            access_token=access_token,
            refresh_token=granted.refresh_token,
            expires_in=int(self._tokens.ttl.total_seconds()),
        )


def _credentials(email: str) -> Select[UUID, str]:
    return select(User.id, User.password_hash).where(User.email_key == email_key(email), User.is_active)


def _outdated(today: str) -> Select[str]:
    """Without a limit it would read all accounts of a large service, and there is no index for it."""
    oldest = select(User.password_hash).where(User.is_active).order_by(User.id).limit(_OLDEST).subquery()
    return select(oldest.c.password_hash).where(oldest.c.password_hash.not_like(f"{today}$%"))


async def _replace_hash(session: AsyncSession, user_id: UUID, verified: str, renewed: str) -> None:
    # Only what was verified is replaced: the password may have been changed while we were hashing.
    await session.execute(
        update(User).where(User.id == user_id, User.password_hash == verified).values(password_hash=renewed),
        execution_options={"synchronize_session": False},
    )


AccountsDep = Annotated[Accounts, Depends(resource(Accounts))]
