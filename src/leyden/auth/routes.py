"""The endpoints of accounts."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response, status
from fastapi.security import OAuth2PasswordRequestForm

from leyden.auth.accounts import AccountsDep
from leyden.auth.callers import SCHEME, CurrentCaller, CurrentUser
from leyden.auth.models import User
from leyden.auth.schemas import RefreshRequest, Registration, TokenPair, UserChanges, UserRead
from leyden.auth.settings import RouteName
from leyden.data import SessionDep, apply, get_or_404


async def register(registration: Registration, accounts: AccountsDep, session: SessionDep) -> UserRead:
    """Make an account."""
    user = await accounts.register(
        session,
        email=registration.email,
        password=registration.password,
        name=registration.name,
    )
    return UserRead.model_validate(user)


async def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], accounts: AccountsDep) -> TokenPair:
    """Sign in; `username` is the e-mail address."""
    return await accounts.login(email=form.username, password=form.password)


async def refresh(request: RefreshRequest, accounts: AccountsDep) -> TokenPair:
    """Trade a refresh token for a new pair of tokens. It works once: a second use ends the session."""
    return await accounts.refresh(request.refresh_token)


async def logout(caller: CurrentCaller, accounts: AccountsDep) -> None:
    """End this session at once, with all its tokens."""
    await accounts.logout(caller.session_id)


async def read_me(user: CurrentUser) -> UserRead:
    """Your own account."""
    return UserRead.model_validate(user)


async def change_me(changes: UserChanges, user: CurrentUser, session: SessionDep) -> UserRead:
    """Change your own account; what is left out stays."""
    mine = await get_or_404(session, User, user.id)
    apply(changes, to=mine)
    await session.flush()
    return UserRead.model_validate(mine)


async def _keep_private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


_REFUSED: dict[int | str, dict[str, Any]] = {401: {"description": "Not signed in, or no longer"}}
_TAKEN: dict[int | str, dict[str, Any]] = {409: {"description": "There is an account with this e-mail address already"}}

_ROUTES: tuple[tuple[str, str, Callable[..., Any], dict[str, Any]], ...] = (
    ("POST", "/register", register, {"status_code": status.HTTP_201_CREATED, "responses": _TAKEN}),
    ("POST", "/login", login, {"responses": _REFUSED, "openapi_extra": {"x-signs-in": SCHEME}}),
    ("POST", "/refresh", refresh, {"responses": _REFUSED}),
    ("POST", "/logout", logout, {"status_code": status.HTTP_204_NO_CONTENT, "responses": _REFUSED}),
    ("GET", "/me", read_me, {"responses": _REFUSED}),
    ("PATCH", "/me", change_me, {"responses": _REFUSED}),
)


def router(prefix: str, *, leave_out: frozenset[RouteName] = frozenset()) -> APIRouter:
    """The endpoints under this prefix, without those left out."""
    routes = APIRouter(prefix=prefix, tags=["accounts"], dependencies=[Depends(_keep_private)])
    for method, path, endpoint, options in _ROUTES:
        if endpoint.__name__ not in leave_out:
            routes.add_api_route(path, endpoint, methods=[method], **options)
    return routes
