"""From the `url` of the settings to the backend that speaks to that database."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple, NoReturn

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from leyden.core import ConfigurationError
from leyden.data.backend import Backend
from leyden.data.backends.mariadb import MariaDB
from leyden.data.backends.postgresql import PostgreSQL
from leyden.data.backends.sqlite import SQLite
from leyden.data.settings import DataSettings

SHOWN = "Write it like sqlite:///var/app.db, postgresql://user:password@host/name or mysql://user:password@host/name."


class _Kind(NamedTuple):
    """A kind of URL: what makes its backend, the module that must be installed, and the extra that installs it."""

    make: Callable[[URL, DataSettings], Backend]
    module: str
    extra: str


_SQLITE = _Kind(SQLite, "aiosqlite", "")
_ASYNCPG = _Kind(PostgreSQL.asyncpg, "asyncpg", "postgres")
_PSYCOPG = _Kind(PostgreSQL.psycopg, "psycopg", "psycopg")
_ASYNCMY = _Kind(MariaDB, "asyncmy", "mysql")

KINDS = {
    "sqlite": _SQLITE,
    "sqlite+aiosqlite": _SQLITE,
    "postgresql": _ASYNCPG,
    "postgres": _ASYNCPG,
    "postgresql+asyncpg": _ASYNCPG,
    "postgresql+psycopg": _PSYCOPG,
    "mysql": _ASYNCMY,
    "mysql+asyncmy": _ASYNCMY,
    "mariadb": _ASYNCMY,
    "mariadb+asyncmy": _ASYNCMY,
}


def backend_for(settings: DataSettings) -> Backend:
    """Raises ConfigurationError when the URL cannot work or its driver is not installed; never with the password."""
    url = parse(settings)
    kind = KINDS.get(url.drivername) or _refuse(url)
    if kind is not _SQLITE and not url.database:
        raise ConfigurationError(f"The database URL {shown(url)} names no database. Add it at the end: .../name.")
    if find_spec(kind.module) is None:
        raise ConfigurationError(
            f"The database URL {shown(url)} needs {kind.module}, which is not installed. "
            f"Run: pip install 'leyden[{kind.extra}]'."
        )
    return kind.make(url, settings)


def parse(settings: DataSettings) -> URL:
    secret = settings.url.get_secret_value()
    if not secret.strip():
        raise ConfigurationError(f"The database URL is empty. {SHOWN}")
    try:
        url = make_url(secret.strip())
    except (ArgumentError, ValueError):
        scheme = re.match(r"\s*([\w+.-]+):/", secret)  # before a mere colon there may be a user, or worse
        what = f"starts with '{scheme[1]}:' and cannot be read" if scheme else "has no scheme"
        raise ConfigurationError(f"The database URL {what}. {SHOWN}") from None
    if url.drivername.startswith("sqlite") and url.host:
        raise ConfigurationError(
            f"The database URL {url.drivername}://{url.host}/... has two slashes where a file needs three. "
            "Write sqlite:///relative/path.db or sqlite:////absolute/path.db."
        )
    if _shares_memory(url):
        raise ConfigurationError(
            f"The database URL {shown(url)} is one of a database in memory under a name of its own, where readers and "
            "the writer would stop each other. Write sqlite:// for a database in memory, which all sessions share."
        )
    # The end of a password that was cut at an @ of its own; nothing hides it there.
    if not url.drivername.startswith("sqlite") and "@" in f"{url.host}{url.database}":
        raise ConfigurationError("The database URL has an @ too many: write @ in the password as %40.")
    return url


def shown(url: URL) -> str:
    """The URL for people: no password, and no query, which may hold another."""
    return url.set(query={}).render_as_string(hide_password=True)


def in_memory(url: URL) -> bool:
    return url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:")


def _shares_memory(url: URL) -> bool:
    if not url.drivername.startswith("sqlite") or in_memory(url):
        return False
    name = str(url.database).removeprefix("file:")
    return name in ("", ":memory:") or url.query.get("mode") == "memory" or url.query.get("vfs") == "memdb"


def _refuse(url: URL) -> NoReturn:
    database, _, driver = url.drivername.partition("+")
    if driver and database in KINDS:
        ours = sorted(name for name in KINDS if name.startswith(f"{database}+"))
        raise ConfigurationError(
            f"The driver '{driver}' of the database URL is not one that Leyden uses. "
            f"Write {' or '.join(f'{name}://' for name in ours)}, or just {database}://."
        )
    raise ConfigurationError(f"The database URL starts with '{url.drivername}', which Leyden does not know. {SHOWN}")
