from typing import Any

import pytest
from pydantic import ValidationError

from leyden.http import HttpSettings


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cors_origins": ["*"], "cors_credentials": True}, "lets every website act as your users"),
        ({"cors_origins": ["null"]}, "'null' is no origin"),
        ({"cors_origins": ["https://app.example/"]}, "without a path"),
        ({"hosts": ["https://shop.example"]}, "is no host name"),
        ({"hosts": ["shop.example:80"]}, "without port"),
        ({"hosts": []}, "at least 1"),
        ({"docs_path": "docs"}, "starts with '/'"),
        ({"api_prefix": "/api/"}, "does not end with one"),
        ({"request_id_header": "X Request"}, "letters, digits and dashes"),
        ({"deadline": 0}, "greater than 0"),
        ({"max_body": 1}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        HttpSettings(**options)


def test_everybody_without_credentials_and_somebody_with_them_are_fine() -> None:
    HttpSettings(cors_origins=("*",))
    HttpSettings(cors_origins=("https://app.example", "http://localhost:5173"), cors_credentials=True)


def test_hosts_are_compared_in_lower_case() -> None:
    assert HttpSettings(hosts=("Shop.Example",)).hosts == ("shop.example",)


def test_origins_are_compared_as_browsers_send_them() -> None:
    assert HttpSettings(cors_origins=("HTTPS://App.Example:8443",)).cors_origins == ("https://app.example:8443",)
