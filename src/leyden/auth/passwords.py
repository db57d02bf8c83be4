"""Passwords: which are good enough, and how they are kept."""

import base64
import re
import secrets
from dataclasses import dataclass

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from leyden.auth.errors import WeakPasswordError
from leyden.auth.settings import AuthSettings
from leyden.core import Limit, to_thread

MIN_LENGTH = 8
MAX_LENGTH = 1024

_NICE = 10  # a hash keeps `hash_lanes` processors busy, and the event loop must not wait for one of them

# The commonest passwords of eight characters and more in published leaks, folded to lower case.
_COMMON = frozenset(
    """
    00000000 11111111 12341234 12344321 12345678 123456789 1234567890 123123123 147258369 1q2w3e4r 1q2w3e4r5t 1qaz2wsx
    66666666 87654321 88888888 987654321 99999999 aa123456 abc12345 abcd1234 admin123 administrator asdfasdf asdfghjkl
    baseball changeme computer football iloveyou letmein1 password password! password1 password12 password123 passw0rd
    p@ssw0rd princess qazwsxedc qwer1234 qwerty12 qwerty123 qwertyui qwertyuiop starwars sunshine superman trustno1
    welcome1 whatever woaini1314 zaq12wsx zxcvbnm1
    """.split()  # noqa: SIM905 -- fifty quoted words would be harder to read
)

_OURS = re.compile(r"\$argon2(?:id|i|d)\$(?:v=[0-9]+\$)?m=[0-9]+,t=[0-9]+,p=[0-9]+(?:\$[A-Za-z0-9+/]+){2}")


def refuse_weak(password: str, *, email: str) -> None:
    """Raise WeakPasswordError for what anybody would try first."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise WeakPasswordError(
            f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters; this one has {len(password)}."
        )
    folded, address = password.casefold(), email.casefold()
    if folded in _COMMON or folded in (address, address.partition("@")[0]):
        raise WeakPasswordError


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password was right, and the hash to keep from now on if the stored one is out of date."""

    right: bool
    renewed: str | None = None


class Passwords:
    """Hashes and verifies with argon2id in threads: a bounded number at once, a bounded number waiting."""

    def __init__(self, settings: AuthSettings) -> None:
        self._hasher = PasswordHash(
            [
                Argon2Hasher(
                    time_cost=settings.hash_time, memory_cost=settings.hash_memory, parallelism=settings.hash_lanes
                )
            ]
        )
        self._limit = Limit(settings.hash_concurrency, waiting=settings.hash_waiting, nice=_NICE)
        self._nobodys = _nobodys_hash(settings)

    async def hash(self, password: str) -> str:
        """Raises OverloadedError when too many are waiting already."""
        return await to_thread(self._limit, self._hasher.hash, password)

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Compare with a stored hash; with None, take exactly as long over a hash that nothing matches.

        A stored text that is no argon2 hash, such as "!" or another scheme's, matches nothing and takes as long too.
        Raises OverloadedError when too many are waiting already.
        """
        if len(password) > MAX_LENGTH:
            return Verdict(right=False)  # known or not, no account can have it
        checked = stored if stored is not None and _OURS.fullmatch(stored) else self._nobodys
        right, renewed = await to_thread(self._limit, self._hasher.verify_and_update, password, checked)
        return Verdict(right and checked == stored, renewed)


def _nobodys_hash(settings: AuthSettings) -> str:
    """A hash with today's parameters and no password: random bytes instead of a digest, so starting costs no hashing."""

    def random(size: int) -> str:
        return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")

    cost = f"m={settings.hash_memory},t={settings.hash_time},p={settings.hash_lanes}"
    return f"$argon2id$v=19${cost}${random(16)}${random(32)}"
