"""Who is calling can be read without knowing who found out."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from leyden.core import identify, identity_of


@dataclass(frozen=True)
class Caller:
    subject: str


def connection() -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": []})


def test_a_caller_nobody_has_named_is_none() -> None:
    assert identity_of(connection()) is None


def test_the_identity_stays_for_the_rest_of_the_request() -> None:
    request = connection()
    identify(request, Caller("user:1"))
    same_request = HTTPConnection(request.scope)
    assert identity_of(same_request) == Caller("user:1")


def test_one_request_does_not_know_the_caller_of_another() -> None:
    identify(connection(), Caller("user:1"))
    assert identity_of(connection()) is None
