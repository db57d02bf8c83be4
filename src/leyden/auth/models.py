"""Who has an account, where they are signed in, and what keeps them so."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.orm import Mapped, mapped_column

from leyden.auth.emails import MAX_LENGTH
from leyden.data import Model

# Other collations of MySQL and MariaDB find "jose" where "josé" is asked for: two people, one account.
_EXACT = String(MAX_LENGTH).with_variant(VARCHAR(MAX_LENGTH, collation="utf8mb4_bin"), "mysql", "mariadb")


class User(Model):
    """An account. `email` is as its owner wrote it; `email_key` says which two addresses are the same."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(MAX_LENGTH))
    email_key: Mapped[str] = mapped_column(_EXACT, unique=True, info={"field": "email"})
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_superuser: Mapped[bool] = mapped_column(default=False)


class AuthSession(Model):
    """One sign-in on one device: every token it ever had ends with it."""

    __tablename__ = "auth_sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AuthRefreshToken(Model):
    """A refresh token of a session, kept after its use so that a second use is noticed."""

    __tablename__ = "auth_refresh_tokens"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("auth_sessions.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
