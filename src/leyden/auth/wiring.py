"""The accounts battery."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from leyden.auth.accounts import Accounts
from leyden.auth.checks import checks
from leyden.auth.models import AuthRefreshToken, AuthSession, User
from leyden.auth.passwords import Passwords
from leyden.auth.routes import router
from leyden.auth.settings import AuthSettings
from leyden.auth.tokens import AccessTokens
from leyden.core import Battery, Clock, ConfigurationError, Events, Resources
from leyden.core.keys import secret_from
from leyden.data import Database


def battery(settings: AuthSettings) -> Battery:
    """Users who register and sign in. Raises ConfigurationError when there is neither a secret nor a place for one."""
    if settings.secret is None and settings.secret_file is None:
        raise ConfigurationError(
            "Accounts need a key to sign with. Set auth.secret_file to a path, where it is made on the first start, "
            "or auth.secret (APP_AUTH__SECRET) to at least 32 random characters."
        )

    @asynccontextmanager
    async def lifespan(resources: Resources) -> AsyncIterator[Accounts]:
        secret = await asyncio.to_thread(_secret, settings)
        yield Accounts(
            database=resources[Database],
            tokens=AccessTokens(secret, issuer=settings.issuer, audience=settings.audience, ttl=settings.access_ttl),
            passwords=Passwords(settings),
            refresh_ttl=settings.refresh_ttl,
            clock=resources[Clock],  # type: ignore[type-abstract]  # a protocol is a key here
            events=resources[Events],
        )

    return Battery(
        name="auth",
        requires=("data",),
        provides=Accounts,
        lifespan=lifespan,
        routers=(router(settings.prefix, leave_out=settings.leave_out),),
        checks=checks(settings),
        commands={"user": "leyden.auth.commands:commands"},
        models=(User, AuthSession, AuthRefreshToken),
        migrations="leyden.auth.migrations",
        locales=Path(__file__).parent / "locales",
    )


def _secret(settings: AuthSettings) -> str:
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    if settings.secret_file is None:
        raise ConfigurationError("There is no auth.secret and no auth.secret_file.")
    return secret_from(settings.secret_file, option="auth.secret")
