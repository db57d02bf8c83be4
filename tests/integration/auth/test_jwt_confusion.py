"""Thirty tokens that are none: each gets the same 401 (promise 23)."""

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwk, jws

from leyden.core.keys import derive

if TYPE_CHECKING:
    from tests.integration.auth.conftest import Site, Tokens

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SECRET = "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"
KEY = derive(SECRET, "leyden.auth.access-token")


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "==")))


def sign(header: dict[str, Any], claims: dict[str, Any], key: bytes = KEY, digest: str = "sha256") -> str:
    body = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{body}.{encode(hmac.digest(key, body.encode(), digest))}"


def rsa(header: dict[str, Any], claims: dict[str, Any]) -> tuple[str, str]:
    """A token signed with a key of the attacker, and one that takes its public half for a shared secret."""
    pair = jwk.RSAKey.generate_key(2048)
    own = jws.serialize_compact({**header, "alg": "RS256"}, json.dumps(claims), pair, ["RS256"])
    return own, sign(header, claims, pair.as_pem(private=False))


def corpus(tokens: "Tokens") -> dict[str, str]:
    good = tokens["access_token"]
    first, second, third = good.split(".")
    header, claims = decode(first), decode(second)
    own_rsa, swapped = rsa(header, claims)
    without = {name: sign(header, {key: value for key, value in claims.items() if key != name}) for name in claims}
    return {
        **{f"no {name}": token for name, token in without.items()},
        "alg none": f"{encode(json.dumps({**header, 'alg': 'none'}).encode())}.{second}.",
        "alg NoNe": f"{encode(json.dumps({**header, 'alg': 'NoNe'}).encode())}.{second}.",
        "alg none, signature kept": f"{encode(json.dumps({**header, 'alg': 'none'}).encode())}.{second}.{third}",
        "alg HS512": sign({**header, "alg": "HS512"}, claims, digest="sha512"),
        "alg RS256 with own key": own_rsa,
        "public key as secret": swapped,
        "empty key": sign(header, claims, b""),
        "the secret itself as key": sign(header, claims, SECRET.encode()),
        "key of another purpose": sign(header, claims, derive(SECRET, "other")),
        "kid of another key": sign({**header, "kid": "other"}, claims),
        "kid as path": sign({**header, "kid": "../../../../dev/null"}, claims, b""),
        "kid as SQL": sign({**header, "kid": "x' UNION SELECT 'k"}, claims, b"k"),
        "kid missing": sign({"alg": "HS256", "typ": "at+jwt"}, claims),
        "jku": sign({**header, "jku": "https://evil.example/keys"}, claims, b"evil"),
        "jwk in header": sign({**header, "jwk": {"kty": "oct", "k": encode(b"evil")}}, claims, b"evil"),
        "unknown crit": sign({**header, "crit": ["exp"]}, claims),
        "typ JWT": sign({**header, "typ": "JWT"}, claims),
        "typ missing": sign({"alg": "HS256", "kid": header["kid"]}, claims),
        "expired": sign(header, {**claims, "exp": claims["iat"]}),
        "exp as text": sign(header, {**claims, "exp": "9999999999"}),
        "exp NaN": sign(header, {**claims, "exp": float("nan")}),
        "not yet valid": sign(header, {**claims, "nbf": claims["exp"]}),
        "other audience": sign(header, {**claims, "aud": "other"}),
        "other issuer": sign(header, {**claims, "iss": "other"}),
        "session of nobody": sign(header, {**claims, "sid": claims["sub"]}),
        "somebody else in this session": sign(header, {**claims, "sub": claims["sid"]}),
        "sid as SQL": sign(header, {**claims, "sid": "' OR 1=1 --"}),
        "sub as number": sign(header, {**claims, "sub": 1}),
        "refresh token": tokens["refresh_token"],
        "truncated": good[:-4],
        "claims changed": f"{first}.{encode(json.dumps({**claims, 'sub': claims['sid']}).encode())}.{third}",
        "no signature": f"{first}.{second}",
        "encrypted form": f"{first}.{second}.{third}.{third}.{third}",
        "padding": f"{first}==.{second}.{third}",
        "empty parts": "..",
        "empty": "",
        "huge": good + "A" * 10_000,
        "no base64": "!!.!!.!!",
        "latin": "\u00e9.\u00e9.\u00e9",
        "deep": f"{first}.{encode(b'[' * 900)}.{third}",
    }


async def test_every_token_that_is_none_gets_the_same_401(site: "Site") -> None:
    tokens = await site.signed_in()
    first, second, _ = tokens["access_token"].split(".")
    assert (await site.get("/mine", {"access_token": sign(decode(first), decode(second))})).status_code == 200
    bad = corpus(tokens)
    assert len(bad) >= 30
    answers = {}
    for name, token in bad.items():
        headers = [(b"authorization", f"Bearer {token}".encode("latin-1"))]
        answers[name] = await site.http.get("/mine", headers=headers)
    assert {name for name, answer in answers.items() if answer.status_code != 401} == set()
    assert len({answer.text for answer in answers.values()}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers.values()} == {'Bearer error="invalid_token"'}
    assert hashlib.sha256(KEY).hexdigest() not in str(answers)
