"""Which environment a project says it is in, for whoever must know before its app does."""

import os
import tomllib
from pathlib import Path

from dotenv import dotenv_values

_VARIABLE = "APP_ENVIRONMENT"


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
