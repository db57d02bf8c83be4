"""Who is calling: the dependencies that turn a bearer token into a user, for HTTP and WebSocket endpoints alike."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

from leyden.auth.accounts import AccountsDep, Caller
from leyden.auth.errors import UnauthenticatedError
from leyden.auth.models import User
from leyden.core import identify

SCHEME = "Account"
# The address is what the documentation's "Authorize" form posts to, for the default prefix: one value serves every app.
# The http battery puts the real one into the document of an app.
_bearer = OAuth2PasswordBearer(tokenUrl="/api/auth/login", scheme_name=SCHEME, auto_error=False)
_Token = Annotated[str | None, Depends(_bearer)]


async def optional_caller(connection: HTTPConnection, accounts: AccountsDep, token: _Token) -> Caller | None:
    """The caller, or None where no token was sent; a token that does not hold is refused all the same."""
    if token is None:
        return None
    caller = await accounts.caller(token)
    identify(connection, caller)
    return caller


async def required_caller(caller: Annotated[Caller | None, Depends(optional_caller)]) -> Caller:
    if caller is None:
        raise UnauthenticatedError
    return caller


async def _user(caller: Annotated[Caller, Depends(required_caller)]) -> User:
    return caller.user


async def _user_or_none(caller: Annotated[Caller | None, Depends(optional_caller)]) -> User | None:
    return caller.user if caller is not None else None


CurrentCaller = Annotated[Caller, Depends(required_caller)]
CurrentUser = Annotated[User, Depends(_user)]
OptionalUser = Annotated[User | None, Depends(_user_or_none)]
