"""Secrets that signed things stem from, kept in a file or in the settings, and the keys derived from them."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from leyden.core.errors import ConfigurationError

MIN_LENGTH = 32
MIN_DIFFERENT = 10
_MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'


def refuse_weak_secret(secret: str) -> None:
    """Raise ConfigurationError for a secret that could be guessed."""
    if len(secret) < MIN_LENGTH or len(set(secret)) < MIN_DIFFERENT:
        raise ConfigurationError(
            f"a secret needs at least {MIN_LENGTH} characters, {MIN_DIFFERENT} of them different. Make one with: {_MAKE_ONE}"
        )


def derive(secret: str, purpose: str) -> bytes:
    """A 256-bit key for one purpose, such as `leyden.auth.access-token`: what one key signs, no other accepts."""
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


def secret_from(path: Path, *, option: str) -> str:
    """The secret in this file, which is made first if it is not there: once, however many workers ask at the same time.

    `option` is the setting that would do instead of the file. Raises ConfigurationError when the file cannot be used.
    """
    try:
        try:
            text = path.read_text("ascii")
        except FileNotFoundError:
            _make(path)
            text = path.read_text("ascii")
        secret = text.strip()
        refuse_weak_secret(secret)
    except UnicodeDecodeError:
        raise ConfigurationError(_unusable(path, option, "it is no ASCII text")) from None
    except OSError as error:
        raise ConfigurationError(_unusable(path, option, error.strerror or type(error).__name__)) from error
    except ConfigurationError as error:
        raise ConfigurationError(_unusable(path, option, error.detail)) from None
    return secret


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link appears whole or not at all, and only for the first: nobody ever reads half a key or a second one.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _unusable(path: Path, option: str, reason: str) -> str:
    return f"The key file {path} cannot be used: {reason.rstrip('.')}. Mend it, or set the option {option} instead."
