"""What goes in and out over HTTP. Nothing that goes out has a field for a hash."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import (
    MISSING,
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from leyden.auth import emails, passwords
from leyden.auth.errors import InvalidEmailError


def _checked(text: str) -> str:
    try:
        return emails.clean_email(text)
    except InvalidEmailError as error:
        raise PydanticCustomError("invalid_email", "{reason}", {"reason": error.detail}) from None


Email = Annotated[
    str,
    Field(max_length=emails.MAX_LENGTH),
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": emails.MAX_LENGTH}),
]
NewPassword = Annotated[
    str,
    Field(
        min_length=passwords.MIN_LENGTH,
        max_length=passwords.MAX_LENGTH,
        repr=False,
        json_schema_extra={"format": "password", "writeOnly": True},
    ),
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Input(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Registration(_Input):
    email: Email
    password: NewPassword
    name: Name = ""


class UserChanges(_Input):
    """What users may change of themselves; what is left out stays."""

    name: Name | MISSING = MISSING


class RefreshRequest(_Input):
    refresh_token: Annotated[str, Field(min_length=1, max_length=512, repr=False)]


class UserRead(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    name: str
    is_active: bool
    is_superuser: bool
    created_at: datetime


class TokenPair(BaseModel):
    """`expires_in` is the access token's remaining life in seconds; each refresh token works once."""

    access_token: Annotated[str, Field(repr=False)]
    refresh_token: Annotated[str, Field(repr=False)]
    token_type: str = "bearer"  # noqa: S105 -- RFC 6750's name of the scheme
    expires_in: int
