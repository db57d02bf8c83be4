"""Hashes that nothing matches, for refused logins to be compared with."""

import base64
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from leyden.auth.settings import AuthSettings

_ARGON2 = re.compile(
    r"(?P<parameters>\$argon2(?:id|i|d)\$(?:v=[0-9]{1,10}\$)?m=(?P<memory>[0-9]{1,10}),t=(?P<time>[0-9]{1,10}),p=[0-9]{1,10})"
    r"(?:\$[A-Za-z0-9+/]+){2}"
)
_ROOM = 4
"""How many hashes of today all older ones together may cost: a refused login takes the time of each."""


class Decoys:
    """One for each kind of hash that accounts have, so that a refusal takes as long whatever hash there is, or none."""

    def __init__(self, settings: AuthSettings) -> None:
        self.today = f"$argon2id$v=19$m={settings.hash_memory},t={settings.hash_time},p={settings.hash_lanes}"
        self._decoys = {self.today: _decoy(self.today)}
        self._room = _ROOM * settings.hash_memory * settings.hash_time

    def meet(self, hashes: Iterable[str]) -> None:
        """Have one for each of these from now on, while there is room for what it costs."""
        for kind in filter(None, map(_kind, hashes)):
            if kind.parameters not in self._decoys and kind.work <= self._room:
                self._decoys[kind.parameters] = _decoy(kind.parameters)
                self._room -= kind.work

    def beside(self, stored: str | None) -> tuple[str, ...]:
        """All of them, always in one order, a stored hash in the place of the decoy of its kind.

        A text that is no argon2 hash, such as "!" or another scheme's, is left out.
        """
        kind = _kind(stored or "")
        own = {kind.parameters: stored} if kind and stored else {}
        return tuple((self._decoys | own).values())


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a hash begins with, and its KiB times its passes, which is what it costs."""

    parameters: str
    work: int


def _kind(stored: str) -> _Kind | None:
    found = _ARGON2.fullmatch(stored)
    return _Kind(found["parameters"], int(found["memory"]) * int(found["time"])) if found else None


def _decoy(parameters: str) -> str:
    """Random bytes instead of a digest, so starting costs no hashing."""
    return f"{parameters}${_random(16)}${_random(32)}"


def _random(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
