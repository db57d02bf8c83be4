import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.http import safe_next


@pytest.mark.parametrize(
    "value", ["/", "/videos", "/videos/7?page=2#top", "/a%20b", "/视频", "/login?next=//x", "/@me"]
)
def test_a_path_on_this_site_is_kept(value: str) -> None:
    assert safe_next(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "videos",
        "//evil",
        "///evil",
        "/\\evil",
        "\\/evil",
        "https:evil",
        "https://evil",
        "javascript:alert(1)",
        "%0d%0aX:",
        "/%0d%0aX: 1",
        "/\r\nX: 1",
        "/\t/evil",
        "/%09/evil",
        "/%2fevil",
        "/%2Fevil",
        "/%5cevil",
        "/.//evil",
        "/a//evil",
        "/\x00",
        " /evil",
        "/" + "a" * 3000,
    ],
)
def test_anything_that_may_lead_away_is_not(value: str | None) -> None:
    assert safe_next(value, default="/home") == "/home"


@given(st.text())
def test_what_is_kept_starts_with_exactly_one_slash(value: str) -> None:
    kept = safe_next(value)
    assert kept.startswith("/")
    assert not kept.startswith(("//", "/\\"))
