"""What happens to accounts, for whoever listens; nothing in it is a secret."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SignedIn:
    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class SignInFailed:
    """`user_id` is None where the address is unknown or the account inactive."""

    user_id: UUID | None


@dataclass(frozen=True, slots=True)
class RefreshTokenReused:
    """A refresh token came a second time: it leaked, or the client forgot its successor. The session has ended."""

    session_id: UUID
