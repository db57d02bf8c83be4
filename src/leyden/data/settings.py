"""Where the data is and how patiently we wait for it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from leyden.core import Section


class DataSettings(Section):
    """One database; times are in seconds.

    `url` is `sqlite:///path/to/file.db`, `sqlite://` (in memory), `postgresql://user:password@host/name` (asyncpg),
    `postgresql+psycopg://...` (behind PgBouncer) or `mysql://...`, `mariadb://...` (asyncmy).
    """

    url: SecretStr
    migrations: Path = Path("migrations")
    pool_size: int = Field(default=10, ge=1, le=1000)
    pool_timeout: float = Field(default=2.0, gt=0)
    connect_timeout: float = Field(default=5.0, gt=0)
    busy_timeout: float = Field(default=5.0, ge=0, description="SQLite: how long to wait for another process's write")
    synchronous: Literal["FULL", "NORMAL"] = Field(
        default="FULL", description="SQLite: NORMAL is faster and may lose the last commits when the power fails"
    )
