"""What goes in and out: secrets do not print, and each route has a name to leave it out by."""

from typing import get_args

from leyden.auth.routes import router
from leyden.auth.schemas import RefreshRequest, Registration, TokenPair
from leyden.auth.settings import RouteName


def test_no_request_or_answer_prints_a_secret() -> None:
    secret = "analytical engine"
    shown = [
        Registration(email="ada@example.com", password=secret),
        RefreshRequest(refresh_token=secret),
        TokenPair(access_token=secret, refresh_token=secret, expires_in=1),
    ]
    assert secret not in repr(shown) + str(shown)


def test_every_route_can_be_left_out_by_its_name() -> None:
    names = get_args(RouteName)
    assert {route.name for route in router("/x").routes} == set(names)  # type: ignore[attr-defined]  # all are APIRoute
    assert router("/x", leave_out=frozenset(names)).routes == []
