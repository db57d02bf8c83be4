from collections.abc import Callable

import pytest
from fastapi import FastAPI

from leyden.http.middleware.hosts import host_of, is_ours
from leyden.testing import client


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("shop.example", "shop.example"),
        ("Shop.Example:8080", "shop.example"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:80", "[::1]"),
        ("my_host", "my_host"),
        ("", None),
        (" shop.example", None),
        ("shop.example/", None),
        ("shop.example?x", None),
        ("shop.example#x", None),
        ("a@shop.example", None),
        ("shop.example\\", None),
        ("shop%2fexample", None),
        ("shop.example:", None),
        ("shop.example:port", None),
        ("shop.example,evil.example", None),
        ("shop.example\n", None),
        ("::1", None),
        ("é.example", None),
    ],
)
def test_only_a_host_is_taken_for_one(value: str, host: str | None) -> None:
    assert host_of([value.encode()]) == host


def test_two_host_headers_or_none_are_no_host() -> None:
    assert host_of([b"a", b"a"]) is None
    assert host_of([]) is None


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("shop.example", True),
        ("api.shop.example", True),
        ("a.b.shop.example", True),
        ("evilshop.example", False),
        ("shop.example.evil", False),
    ],
)
def test_a_star_stands_for_names_below(host: str, ours: bool) -> None:  # noqa: FBT001
    assert is_ours(host, ("shop.example", "*.shop.example")) is ours


async def test_no_host_is_accepted_where_any_is(make_app: Callable[..., FastAPI]) -> None:
    async with client(make_app()) as calling:
        assert (await calling.get("/health/live", headers={"Host": "anything"})).status_code == 200
        refused = await calling.get("/health/live", headers={"Host": "x/y"})
    assert refused.json()["detail"] == "No service answers to that host name here."
