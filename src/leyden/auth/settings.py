"""How accounts behave."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from leyden.core import ConfigurationError, Section
from leyden.core.keys import refuse_weak_secret

RouteName = Literal["register", "login", "refresh", "logout", "read_me", "change_me"]


def _cores() -> int:
    # Each hash takes `hash_memory`: a large machine must not mean gigabytes in every worker.
    return min(os.cpu_count() or 1, 4)


class AuthSettings(Section):
    """The section `auth`. Times are ISO 8601 ("PT10M"), or seconds where numbers can be written; `hash_memory` is KiB."""

    prefix: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = "/api/auth"
    leave_out: frozenset[RouteName] = frozenset()
    secret: SecretStr | None = None
    secret_file: Path | None = None
    issuer: Annotated[str, Field(min_length=1)] = "leyden"
    audience: Annotated[str, Field(min_length=1)] = "leyden"
    access_ttl: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=1))] = timedelta(minutes=10)
    refresh_ttl: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=400))] = timedelta(days=30)
    hash_memory: Annotated[int, Field(ge=8, le=4 * 1024 * 1024)] = 64 * 1024
    hash_time: Annotated[int, Field(ge=1, le=100)] = 3
    hash_lanes: Annotated[int, Field(ge=1, le=64)] = 4
    hash_concurrency: Annotated[int, Field(ge=1)] = Field(default_factory=_cores)
    hash_waiting: Annotated[int, Field(ge=0)] = 100

    @field_validator("secret")
    @classmethod
    def _strong(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            try:
                refuse_weak_secret(secret.get_secret_value())
            except ConfigurationError as error:
                raise ValueError(error.detail) from None
        return secret

    @model_validator(mode="after")
    def _consistent(self) -> "AuthSettings":
        if self.hash_memory < 8 * self.hash_lanes:
            raise ValueError("hash_memory must be at least 8 KiB for each of hash_lanes")
        if self.refresh_ttl < self.access_ttl:
            raise ValueError("refresh_ttl must not be shorter than access_ttl")
        return self
