"""Text that people type: trimmed, in one Unicode form, without characters nobody can see."""

import unicodedata
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints

# PostgreSQL refuses NUL, and the other controls only serve to confuse readers.
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
MANY_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"


def composed(value: Any) -> Any:
    """The same letters in composed form, so that equal words compare equal."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def lowered(value: Any) -> Any:
    return composed(value.lower()) if isinstance(value, str) else value


# The constraints come first, nearest to `str`: what stands behind them runs before them, and composing changes lengths.
Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=ONE_LINE),
    BeforeValidator(composed),
]
Description = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=5000, pattern=MANY_LINES), BeforeValidator(composed)
]
