"""Users who register, sign in and stay signed in."""

from leyden.auth.accounts import Accounts, AccountsDep, Caller
from leyden.auth.callers import CurrentCaller, CurrentUser, OptionalUser
from leyden.auth.models import User
from leyden.auth.schemas import TokenPair, UserRead
from leyden.auth.settings import AuthSettings
from leyden.auth.wiring import battery

__all__ = [
    "Accounts",
    "AccountsDep",
    "AuthSettings",
    "Caller",
    "CurrentCaller",
    "CurrentUser",
    "OptionalUser",
    "TokenPair",
    "User",
    "UserRead",
    "battery",
]
