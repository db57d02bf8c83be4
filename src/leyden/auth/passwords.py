"""Passwords: which are good enough, and how they are kept."""

from collections.abc import Iterable
from dataclasses import dataclass

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from leyden.auth.decoys import Decoys
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
        self._decoys = Decoys(settings)

    @property
    def today(self) -> str:
        """What every hash begins with that was made with the parameters of today."""
        return self._decoys.today

    def meet(self, hashes: Iterable[str]) -> None:
        """From now on a refusal takes as long for accounts with hashes such as these as for others, or none."""
        self._decoys.meet(hashes)

    async def hash(self, password: str) -> str:
        """Raises OverloadedError when too many are waiting already."""
        return await to_thread(self._limit, self._hasher.hash, password)

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Compare with a stored hash; a refusal takes exactly as long whatever is stored, also with None.

        A stored text that is no argon2 hash, such as "!" or another scheme's, matches nothing and takes as long too.
        Raises OverloadedError when too many are waiting already.
        """
        if len(password) > MAX_LENGTH:
            return Verdict(right=False)  # known or not, no account can have it
        if stored is not None:
            self._decoys.meet([stored])
        return await to_thread(self._limit, self._compare, password, stored, self._decoys.beside(stored))

    def _compare(self, password: str, stored: str | None, hashes: Iterable[str]) -> Verdict:
        for hashed in hashes:
            right, renewed = self._hasher.verify_and_update(password, hashed)
            if right and hashed == stored:
                return Verdict(right, renewed)
        return Verdict(right=False)
