"""What goes wrong with accounts.

LeydenError
├── UnauthenticatedError             401  unauthenticated        the endpoint needs a caller, and there is none
│   ├── InvalidCredentialsError      401  invalid_credentials    login: unknown, inactive or wrong, never which
│   ├── InvalidTokenError            401  invalid_token          the access token does not hold, never why
│   └── InvalidRefreshTokenError     401  invalid_refresh_token  the refresh token does not hold, never why
├── RefusedInputError                422  refused_input
│   ├── InvalidEmailError            422  invalid_email
│   └── WeakPasswordError            422  weak_password
└── ConflictError (of leyden.data)   409  conflict
    └── EmailTakenError              409  email_taken
"""

from typing import ClassVar

from leyden.core import FieldError, LeydenError
from leyden.data import ConflictError


class UnauthenticatedError(LeydenError):
    """Sign in first: this needs an access token, sent as "Authorization: Bearer ..."."""

    status = 401
    code = "unauthenticated"
    challenge: ClassVar[str] = "Bearer"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": self.challenge, "Cache-Control": "no-store"})


class InvalidCredentialsError(UnauthenticatedError):
    """The e-mail address or the password is wrong."""

    code = "invalid_credentials"


class InvalidTokenError(UnauthenticatedError):
    """The access token is not valid any more. Refresh it, or sign in again."""

    code = "invalid_token"
    challenge = 'Bearer error="invalid_token"'


class InvalidRefreshTokenError(UnauthenticatedError):
    """The refresh token is not valid any more. Sign in again."""

    code = "invalid_refresh_token"
    challenge = 'Bearer error="invalid_token"'


class RefusedInputError(LeydenError):
    """The input is refused."""

    status = 422
    code = "refused_input"
    field: ClassVar[str] = "body"

    def __init__(self, detail: str | None = None) -> None:
        message = detail if detail is not None else type(self).message()
        super().__init__(detail, fields=[FieldError(self.field, self.code, message)])


class InvalidEmailError(RefusedInputError):
    """That is not an e-mail address. Write it like ada@example.com."""

    code = "invalid_email"
    field = "body.email"


class WeakPasswordError(RefusedInputError):
    """That password is too easy to guess. Take at least 8 characters that are not a common password or the e-mail address."""

    code = "weak_password"
    field = "body.password"


class EmailTakenError(ConflictError):
    """There is an account with this e-mail address already. Sign in, or take another address."""

    code = "email_taken"

    def __init__(self, detail: str | None = None) -> None:
        message = detail if detail is not None else type(self).message()
        super().__init__(detail, fields=[FieldError("body.email", self.code, message)])
