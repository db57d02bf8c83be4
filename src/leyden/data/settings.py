"""Where the data is and how patiently we wait for it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from leyden.core import ConfigurationError, Section
from leyden.core.keys import refuse_weak_secret


class DataSettings(Section):
    """One database; times are in seconds.

    `url` is `sqlite:///path/to/file.db`, `sqlite://` (in memory), `postgresql://user:password@host/name` (asyncpg),
    `postgresql+psycopg://...` (behind PgBouncer) or `mysql://...`, `mariadb://...` (asyncmy).
    """

    url: SecretStr
    replica: SecretStr | None = Field(
        default=None, description="The URL of a copy that follows the database, for what requests only read"
    )
    replica_lag: float = Field(
        default=2.0, gt=0, description="How long whoever has written reads the database itself and not its replica"
    )
    migrations: Path = Path("migrations")
    pool_size: int = Field(
        default=10, ge=1, le=1000, description="Connections a process, for writing and for reading each"
    )
    snapshot_pool_size: int = Field(
        default=2, ge=1, le=1000, description="Connections a process for exports and snapshots"
    )
    pool_timeout: float = Field(default=2.0, gt=0)
    connect_timeout: float = Field(default=5.0, gt=0)
    statement_timeout: float | None = Field(default=5.0, gt=0, description="None leaves it to the server, or to nobody")
    lock_timeout: float | None = Field(default=2.0, gt=0, description="How long to wait for a row that is locked")
    idle_timeout: float | None = Field(default=10.0, gt=0, description="How long a transaction may do nothing")
    busy_timeout: float = Field(default=5.0, ge=0, description="SQLite: how long to wait for another process's write")
    synchronous: Literal["FULL", "NORMAL"] = Field(
        default="FULL", description="SQLite: NORMAL is faster and may lose the last commits when the power fails"
    )
    cursor_key: SecretStr | None = Field(
        default=None,
        description="Signs the cursors of lists; without it the key stems from `url`, or lies beside the file",
    )

    @field_validator("cursor_key")
    @classmethod
    def _strong(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            try:
                refuse_weak_secret(key.get_secret_value())
            except ConfigurationError as error:
                raise ValueError(error.detail) from None
        return key
