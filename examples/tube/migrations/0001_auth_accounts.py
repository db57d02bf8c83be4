"""auth: accounts."""

from leyden.auth.migrations.m0001_accounts import downgrade, upgrade  # noqa: F401

revision, down_revision = "auth_0001", None
