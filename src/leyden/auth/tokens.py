"""Access tokens that say who calls, and refresh tokens that say nothing."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from leyden.auth.errors import InvalidTokenError
from leyden.core.keys import derive

_ALGORITHMS = ("HS256",)
_TYPE = "at+jwt"
_MAX_LENGTH = 2048
_SKEW = 5
"""Seconds by which another host's clock may be ahead of ours; a token's end knows no such grace."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    user_id: UUID
    session_id: UUID


class AccessTokens:
    """Signs and reads access tokens: JWTs with one fixed algorithm and type."""

    def __init__(self, secret: str, *, issuer: str, audience: str, ttl: timedelta) -> None:
        self._key = OctKey.import_key(derive(secret, "leyden.auth.access-token"))
        self._key_id = derive(secret, "leyden.auth.access-token-key-id").hex()[:16]
        self._issuer = issuer
        self._audience = audience
        self.ttl = ttl

    def issue(self, user_id: UUID, session_id: UUID, *, now: datetime) -> str:
        """A token that is valid from `now` for exactly its time to live, to the microsecond."""
        header = {"alg": _ALGORITHMS[0], "typ": _TYPE, "kid": self._key_id}
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": now.timestamp(),
            "nbf": now.timestamp(),
            "exp": (now + self.ttl).timestamp(),
            "jti": secrets.token_urlsafe(12),
        }
        return jwt.encode(header, claims, self._key, _ALGORITHMS)

    def read(self, text: str, *, now: datetime) -> AccessClaims:
        """What a token says. Raises InvalidTokenError, the same for whatever is wrong with it."""
        if len(text) > _MAX_LENGTH:
            raise InvalidTokenError
        try:
            return self._read(text, now.timestamp())
        except (JoseError, ValueError, TypeError, RecursionError):
            raise InvalidTokenError from None

    def _read(self, text: str, now: float) -> AccessClaims:
        token = jwt.decode(text, self._key, _ALGORITHMS)
        if token.header.get("typ") != _TYPE or token.header.get("kid") != self._key_id:
            raise InvalidTokenError
        self._registry(now).validate(token.claims)
        if token.claims["exp"] <= now:
            raise InvalidTokenError
        return AccessClaims(user_id=UUID(token.claims["sub"]), session_id=UUID(str(token.claims["sid"])))

    def _registry(self, now: float) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=now,  # type: ignore[arg-type]  # joserfc only compares it; whole seconds would shorten a token's life
            leeway=_SKEW,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            sid={"essential": True},
            iat={"essential": True},
            nbf={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        )


def new_refresh_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def fingerprint(refresh_token: str) -> str:
    """What is stored of a refresh token. A plain SHA-256 will do: nobody can search 256 random bits."""
    return hashlib.sha256(refresh_token.encode("utf-8", "surrogatepass")).hexdigest()
