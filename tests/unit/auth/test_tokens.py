"""Access tokens: one algorithm, one type, an exact end; anything else is the same refusal."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.auth.errors import InvalidTokenError
from leyden.auth.tokens import AccessTokens, fingerprint, new_refresh_token
from leyden.core.keys import derive

SECRET = "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"
NOW = datetime(2026, 11, 1, 5, 29, 59, 700_000, tzinfo=UTC)  # a moment before clocks go back in New York
TTL = timedelta(minutes=10)
USER, SESSION = uuid4(), uuid4()


def tokens(**changes: Any) -> AccessTokens:
    return AccessTokens(**{"secret": SECRET, "issuer": "shop", "audience": "shop", "ttl": TTL, **changes})


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any, claims: Any) -> str:
    """A token made with our own key, for what the holder of the key would never make."""
    body = f"{part(header)}.{part(claims)}"
    return f"{body}.{part(hmac.digest(derive(SECRET, 'leyden.auth.access-token'), body.encode(), hashlib.sha256))}"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = (
        json.loads(base64.urlsafe_b64decode(each + "==") if at < 2 else b"0")
        for at, each in enumerate(token.split("."))
    )
    return header, claims


HEADER, CLAIMS = parts(tokens().issue(USER, SESSION, now=NOW))


def test_a_token_says_who_calls_in_which_session() -> None:
    claims = tokens().read(tokens().issue(USER, SESSION, now=NOW), now=NOW)
    assert (claims.user_id, claims.session_id) == (USER, SESSION)


def test_a_token_names_its_type_key_and_all_claims_and_no_role() -> None:
    assert HEADER.keys() == {"alg", "typ", "kid"}
    assert (HEADER["alg"], HEADER["typ"]) == ("HS256", "at+jwt")
    assert CLAIMS.keys() == {"iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"}


def test_the_helper_of_these_tests_signs_like_the_real_thing() -> None:
    assert tokens().read(signed(HEADER, CLAIMS), now=NOW).user_id == USER


def test_a_token_ends_exactly_after_its_time_to_live() -> None:
    token = tokens().issue(USER, SESSION, now=NOW)
    tokens().read(token, now=NOW + TTL - timedelta(microseconds=1))
    with pytest.raises(InvalidTokenError):
        tokens().read(token, now=NOW + TTL)


def test_every_token_is_different() -> None:
    assert tokens().issue(USER, SESSION, now=NOW) != tokens().issue(USER, SESSION, now=NOW)


@pytest.mark.parametrize("changes", [{"secret": SECRET[::-1]}, {"issuer": "other"}, {"audience": "other"}])
def test_a_token_of_another_app_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        tokens().read(tokens(**changes).issue(USER, SESSION, now=NOW), now=NOW)


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_a_token_without_one_of_its_claims_is_refused(claim: str) -> None:
    with pytest.raises(InvalidTokenError):
        tokens().read(signed(HEADER, {name: value for name, value in CLAIMS.items() if name != claim}), now=NOW)


@pytest.mark.parametrize("claim", sorted(CLAIMS))
@pytest.mark.parametrize("value", [None, "", [], {}, True, 10**400, -1, "x", ["x"], float("nan"), float("inf")])
def test_a_claim_of_a_wrong_kind_never_passes_and_never_breaks(claim: str, value: Any) -> None:
    token = signed(HEADER, {**CLAIMS, claim: value})
    harmless = (
        (claim == "jti" and value == "x")
        or (claim in ("iat", "nbf") and value == -1)
        or (claim == "exp" and value == 10**400)
    )
    if harmless:
        tokens().read(token, now=NOW)
    else:
        with pytest.raises(InvalidTokenError):
            tokens().read(token, now=NOW)


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "typ": "JWT"},
        {**HEADER, "typ": None},
        {"alg": "HS256", "typ": "at+jwt"},
        {**HEADER, "kid": "other"},
        {**HEADER, "kid": "../../dev/null"},
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": "HS512"},
        {**HEADER, "alg": ["HS256"]},
        {**HEADER, "alg": None},
        {**HEADER, "crit": ["exp"]},
        {**HEADER, "b64": False, "crit": ["b64"]},
        {**HEADER, "zip": "DEF"},
        {},
        [],
        "header",
        7,
        None,
    ],
)
def test_a_rightly_signed_token_with_another_header_is_refused(header: Any) -> None:
    with pytest.raises(InvalidTokenError):
        tokens().read(signed(header, CLAIMS), now=NOW)


@pytest.mark.parametrize("claims", [[], "claims", 7, None, b"\xff\xfe", b"", b"[" * 1000])
def test_a_rightly_signed_token_whose_body_is_no_object_is_refused(claims: Any) -> None:
    with pytest.raises(InvalidTokenError):
        tokens().read(signed(HEADER, claims), now=NOW)


@given(st.one_of(st.text(), st.lists(st.binary(max_size=30), max_size=5).map(lambda all_: ".".join(map(part, all_)))))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        tokens().read(text, now=NOW)


def test_a_token_from_a_host_whose_clock_is_a_little_ahead_is_good() -> None:
    tokens().read(tokens().issue(USER, SESSION, now=NOW), now=NOW - timedelta(seconds=4))
    with pytest.raises(InvalidTokenError):
        tokens().read(tokens().issue(USER, SESSION, now=NOW), now=NOW - timedelta(seconds=6))


def test_a_refresh_token_has_256_random_bits_and_its_fingerprint_does_not_show_it() -> None:
    one, other = new_refresh_token(), new_refresh_token()
    assert one != other
    assert len(base64.urlsafe_b64decode(one + "=")) == 32
    assert len(fingerprint(one)) == 64
    assert one not in fingerprint(one)
