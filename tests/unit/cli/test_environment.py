import pytest

from leyden.cli.environment import loopback


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 -- judged, not listened on
        ("::", False),
        ("shop.example", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, *, local: bool) -> None:
    assert loopback(host) is local
