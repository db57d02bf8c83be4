"""What can be set at the HTTP edge."""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from leyden.core.settings import Section

_ORIGIN = re.compile(r"https?://[^/?#@\s\\]+", re.IGNORECASE)
_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_MEBIBYTE = 1024 * 1024


class HttpSettings(Section):
    """Times are in seconds, sizes in bytes."""

    request_id_header: str = "X-Request-ID"
    slow_request: float = Field(default=1.0, gt=0)
    max_body_size: int = Field(default=_MEBIBYTE, ge=0)
    deadline: float | None = Field(default=30.0, gt=0)

    hosts: tuple[str, ...] = Field(default=("*",), min_length=1)
    https_redirect: bool = False
    hsts: int = Field(default=365 * 24 * 3600, ge=0)
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False
    cors_methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    cors_headers: tuple[str, ...] = ("Authorization", "Idempotency-Key", "If-Match", "If-None-Match")
    gzip_minimum: int | None = Field(default=1024, ge=0)

    docs: bool | None = None
    docs_path: str = "/docs"
    openapi_path: str = "/openapi.json"
    api_prefix: str = "/api"

    drain_delay: float | None = Field(default=None, ge=0)
    grace: float = Field(default=20.0, gt=0)

    language: str = "en"
    locales: tuple[Path, ...] = ()

    @field_validator("request_id_header")
    @classmethod
    def _header(cls, value: str) -> str:
        if not _HEADER.fullmatch(value):
            raise ValueError("a header's name has letters, digits and dashes only, such as X-Request-ID")
        return value

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not _HOST.fullmatch(host):
                raise ValueError(f"'{host}' is no host name; write 'example.com', '*.example.com' or '*', without port")
        return tuple(host.lower() for host in value)

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"'{origin}' is no origin; write it like https://app.example.com, without a path")
        return tuple(origin.lower() for origin in value)  # as browsers send them

    @field_validator("docs_path", "openapi_path", "api_prefix")
    @classmethod
    def _path(cls, value: str) -> str:
        if value and (not value.startswith("/") or value.endswith("/")):
            raise ValueError("a path starts with '/' and does not end with one, such as /api")
        return value

    @model_validator(mode="after")
    def _no_credentials_for_everybody(self) -> Self:
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError(
                "cors_origins '*' together with cors_credentials lets every website act as your users; "
                "list the origins, or turn cors_credentials off"
            )
        return self
