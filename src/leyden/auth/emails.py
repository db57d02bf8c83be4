"""E-mail addresses: how they are written, and when two are the same."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from leyden.auth.errors import InvalidEmailError

MAX_LENGTH = 320


def clean_email(text: str) -> str:
    """The address as it is stored and written to. Raises InvalidEmailError."""
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        raise InvalidEmailError from None


def email_key(text: str) -> str:
    """What is unique about an address: equal for variants in case and Unicode form.

    Text that is no address has the key "", which no account ever has: so a login with it takes the same way
    through the database as any other, and nothing a database cannot store ever reaches it.
    """
    if len(text) > MAX_LENGTH:
        return ""
    try:
        folded = _fold(clean_email(text))
    except InvalidEmailError:
        return ""
    return folded if len(folded) <= MAX_LENGTH else ""


def _fold(text: str) -> str:
    # Folding may leave the normal form and the other way round, so one of the two must come twice.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
