"""Which environment a command works in where nobody has said so."""

import os
import tomllib
from ipaddress import ip_address
from pathlib import Path

from dotenv import dotenv_values

from leyden.core.settings import IMPLIED_ENVIRONMENT

_VARIABLE = "APP_ENVIRONMENT"


def imply(environment: str) -> None:
    """What `Settings.environment` is from now on, here and in child processes, unless something sets it."""
    os.environ[IMPLIED_ENVIRONMENT] = environment


def declared_environment(root: Path) -> str | None:
    """What the environment, `.env` or `config.toml` of a project says, in that order; the app's Settings judge it."""
    if found := os.environ.get(_VARIABLE):
        return found
    dotenv = root / ".env"
    if dotenv.is_file() and (found := dotenv_values(dotenv).get(_VARIABLE)):
        return found
    return _in_config(root / "config.toml")


def _in_config(path: Path) -> str | None:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("environment")
    except (FileNotFoundError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None  # the app's Settings say what is wrong with the file
    return found if isinstance(found, str) else None


def loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
