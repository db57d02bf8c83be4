"""Addresses: what is stored, and which are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.auth.emails import clean_email, email_key
from leyden.auth.errors import InvalidEmailError

ADA = "ada@example.com"


@pytest.mark.parametrize(
    "variant",
    [
        "ada@example.com",
        " ada@example.com ",
        "ADA@EXAMPLE.COM",
        "Ada@Example.Com",
        "\uff41\uff44\uff41@example.com",  # full-width letters
        "\uff21\uff24\uff21@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com",
        "\U0001d41a\U0001d41d\U0001d41a@example.com",
    ],
)
def test_variants_in_case_and_unicode_form_share_a_key(variant: str) -> None:
    assert email_key(variant) == email_key(ADA)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("josé@example.com", "jose\u0301@example.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("\u212aelvin@example.com", "kelvin@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
    ],
)
def test_composed_folded_and_punycode_forms_share_a_key(one: str, other: str) -> None:
    assert email_key(one) == email_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [(ADA, "ada@example.org"), (ADA, "ad.a@example.com"), ("josé@example.com", "jose@example.com")]
)
def test_different_addresses_have_different_keys(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@pytest.mark.parametrize(
    "text", ["", "ada", "@", "ada@", "a\x00da@example.com", "ada@localhost", "Ada <ada@example.com>", "a" * 400]
)
def test_text_that_is_no_address_is_refused_and_has_the_key_nobody_has(text: str) -> None:
    assert email_key(text) == ""
    with pytest.raises(InvalidEmailError, match="Write it like"):
        clean_email(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_has_a_key_that_is_its_own_key_or_nobodys(local: str, domain: str) -> None:
    key = email_key(f"{local}@{domain}")
    assert "\x00" not in key
    assert email_key(key) in (key, "")


def test_an_address_is_stored_as_it_was_written() -> None:
    assert clean_email(" Ada.Lovelace@Example.COM") == "Ada.Lovelace@example.com"
