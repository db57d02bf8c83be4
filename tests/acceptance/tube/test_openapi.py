"""Whatever is sent to Tube's API, the answer is one that its OpenAPI document names, and never an accident."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from leyden.testing import LiveServer

PROMISES = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 15
CHEAP_HASHES = {"auth__hash_memory": 8, "auth__hash_lanes": 1, "auth__hash_time": 1}
PROBLEM = "application/problem+json"

Headers = dict[str, str]
Operation = APIOperation[Any, Any, Any, Any]


@pytest.fixture
def server(serve: Callable[..., LiveServer], database_url: str) -> LiveServer:
    return serve(database_url, http__docs=True, **CHEAP_HASHES)


def test_no_request_is_answered_by_an_accident_and_every_refusal_is_a_problem(server: LiveServer) -> None:
    answers: set[tuple[str, int]] = set()
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        document = client.get("/openapi.json").json()
        for operation in operations(document):
            bearer = signed_in(client, operation.label)
            mine = existing(client, bearer, operation)
            for headers, known in ((bearer, {}), ({}, mine), (bearer, mine)):  # what is mine may be gone after the last
                for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
                    answers |= set(explore(operation, server.url, headers, known, mode))
    # The search has been everywhere: past the sign-in, past validation, and into what is not there.
    reached = {status for _, status in answers}
    assert reached >= {200, 201, 204, 401, 404, 409, 422}, answers
    assert len({label for label, status in answers if status < 400}) > 0.8 * len({label for label, _ in answers})


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def explore(
    operation: Operation, url: str, bearer: Headers, known: dict[str, str], mode: GenerationMode
) -> Iterator[tuple[str, int]]:
    """Call one operation many times, the same way each run; what it was and how it was answered."""
    answers = []

    @seed(20261122)
    @settings(max_examples=EXAMPLES, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=known or None))
    def call(case: Case[Any]) -> None:
        response = case.call(base_url=url, headers=bearer)
        case.validate_response(response, checks=PROMISES)
        if response.status_code >= 400:
            assert response.headers["content-type"] == [PROBLEM], response.text
        answers.append((operation.label, response.status_code))

    with suppress(Unsatisfiable):  # an operation without parameters: there is nothing to get wrong
        call()
    yield from answers


def signed_in(client: httpx2.Client, label: str) -> Headers:
    """A session an operation: one of them ends it."""
    account = {"email": f"{label.encode().hex()}@example.com", "password": "a long enough password"}
    assert client.post("/api/auth/register", json=account).status_code == 201
    tokens = client.post("/api/auth/login", data={"username": account["email"], "password": account["password"]})
    return {"Authorization": f"Bearer {tokens.json()['access_token']}"}


def existing(client: httpx2.Client, bearer: Headers, operation: Operation) -> dict[str, str]:
    """Path parameters with which the operation finds something of one's own."""
    handle = f"own-{sum(operation.label.encode())}"
    channel = client.post("/api/channels", json={"handle": handle, "title": "Own"}, headers=bearer)
    assert channel.status_code == 201, channel.text
    video = client.post("/api/videos", json={"channel": handle, "title": "Own"}, headers=bearer).json()
    values = {"handle": handle, "video_id": video["id"]}
    return {name: value for name, value in values.items() if f"{{{name}}}" in operation.path}
