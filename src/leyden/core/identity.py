"""Who is calling. An authentication battery sets it; anybody may read it without importing that battery."""

from typing import Protocol, cast

from starlette.requests import HTTPConnection

_STATE_KEY = "leyden_identity"


class Identity(Protocol):
    @property
    def subject(self) -> str:
        """A stable id of the caller, the same at every request."""
        ...


def identify(connection: HTTPConnection, identity: Identity) -> None:
    """Remember who is calling for the rest of this request or socket."""
    setattr(connection.state, _STATE_KEY, identity)


def identity_of(connection: HTTPConnection) -> Identity | None:
    """Who is calling, or None where nobody has authenticated the caller."""
    return cast("Identity | None", getattr(connection.state, _STATE_KEY, None))
