"""Promises 1 to 4, 9 and 12: every error is a problem, tells nothing, and is never mistaken for success."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from leyden.testing.live_server import LiveServer

Serve = Callable[..., LiveServer]
PARTIAL = 18
"""What curl says of a file that ended too soon."""
NEVER_TWICE = httpx2.Limits(max_keepalive_connections=0)
"""A connection for each request, which any of the workers may take."""
INTERNALS = ("psycopg", "sqlalchemy", "select ", "/usr/", "traceback", "password", "runtimeerror")


def is_problem(response: Any) -> bool:
    return bool(response.headers["content-type"] == "application/problem+json") and response.json()["status"] == (
        response.status_code
    )


async def test_an_http_exception_raised_in_a_middleware_keeps_its_status(limited: LiveServer) -> None:
    async with limited.client(limits=NEVER_TWICE) as client:
        answers = [await client.get("/limited") for _ in range(50)]
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(is_problem(answer) and answer.headers["retry-after"] == "7" for answer in refused)
    assert refused[0].json()["code"] == "too_many_requests"


@pytest.mark.parametrize("path", ["/boom", "/leak", "/upstream", "/raised-in-middleware"])
async def test_a_server_error_tells_the_log_what_it_does_not_tell_the_client(limited: LiveServer, path: str) -> None:
    async with limited.client() as client:
        answer = await client.get(path)
    assert answer.status_code >= 500
    assert is_problem(answer)
    text = answer.text.lower() + str(answer.headers).lower()
    assert [word for word in INTERNALS if word in text] == []
    assert answer.json()["request_id"] in limited.log
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_the_status_of_an_error_is_the_one_it_was_raised_with(edge: LiveServer) -> None:
    async with edge.client() as client:
        found = {case: await client.get("/transfer", params={"case": case}) for case in ("funds", "unknown", "foreign")}
    assert {case: answer.status_code for case, answer in found.items()} == {
        "funds": 409,
        "unknown": 404,
        "foreign": 403,
    }
    assert found["funds"].json()["detail"] == "There is not enough money for this."
    assert all(is_problem(answer) for answer in found.values())


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_stream_that_breaks_is_no_success_for_its_client(edge: LiveServer, encoding: str) -> None:
    assert fetch(edge, "/broken", encoding) == PARTIAL
    assert "the database went away" in edge.log


@pytest.mark.parametrize("how", [{}, {"EDGE_INSTALLED": "1"}], ids=["created", "installed between two"])
def test_a_stream_that_breaks_is_no_success_either_under_a_middleware_that_ends_it_in_order(
    serve: Serve, workers: int, how: dict[str, str]
) -> None:
    server = serve(workers=workers, env={"EDGE_PASSING": "1", **how})
    assert [fetch(server, "/broken", encoding) for encoding in ("identity", "gzip") * 2] == [PARTIAL] * 4
    assert fetch(server, "/public", "identity") == 0
    assert server.log.count("GET '/broken' failed (request") == 4


def fetch(server: LiveServer, path: str, encoding: str) -> int:
    """What curl ends with, over HTTP/1.1."""
    command = ["curl", "-sf", "--http1.1", "-H", f"Accept-Encoding: {encoding}", "-o", "/dev/null", server.url + path]
    return subprocess.run(command, check=False, timeout=20).returncode


@pytest.mark.parametrize(
    "host",
    ["x/public?y=", "x/", "x?", "x#", "x@y", "x\\y", "x%2f", "", " ", "a b", "x:y", "x,y", "[::1", "127.0.0.1\\"],
)
async def test_a_host_header_that_is_no_host_is_refused(edge: LiveServer, raw: Any, host: str) -> None:
    answer = raw(edge, f"GET /admin HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.status == 400
    assert "application/problem+json" in answer.head
    assert answer.json()["code"] == "host_refused"


async def test_a_doubled_host_header_is_refused(edge: LiveServer, raw: Any) -> None:
    answer = raw(edge, b"GET /admin HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert answer.status == 400


async def test_only_its_own_hosts_are_answered_and_probes_always(serve: Serve) -> None:
    server = serve(hosts=["shop.example", "*.shop.example"])
    async with server.client() as client:
        own = await client.get("/public", headers={"Host": "api.shop.example:8080"})
        other = await client.get("/public", headers={"Host": "evil.example", "Accept-Language": "zh-CN"})
        near = await client.get("/public", headers={"Host": "evilshop.example"})
        probe = await client.get("/health/live", headers={"Host": "10.1.2.3:8000"})
    assert [own.status_code, other.status_code, near.status_code, probe.status_code] == [200, 400, 400, 200]
    assert other.json()["detail"] == "本服务不响应该主机名。"


async def test_an_unknown_path_is_a_404_problem_also_for_a_browser(serve: Serve, workers: int, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>the front end</h1>")
    server = serve(workers=workers, env={"EDGE_FRONT": str(tmp_path)})
    async with server.client(headers={"Accept": "text/html"}, limits=NEVER_TWICE) as client:
        page = await client.get("/some/page")
        missing = await client.get("/api/missing")
    assert page.text == "<h1>the front end</h1>"
    assert missing.status_code == 404
    assert is_problem(missing)


@pytest.mark.parametrize("value", ["//evil", "/\\evil", "https:evil", "%0d%0aX:", "/%0d%0aX:", "/%5cevil", "/%2fevil"])
async def test_next_never_leads_away(edge: LiveServer, value: str) -> None:
    async with edge.client() as client:
        answer = await client.get(f"/go?next={value}")
    assert answer.headers["location"] == "/"


async def test_next_leads_to_pages_of_this_site(edge: LiveServer) -> None:
    async with edge.client() as client:
        assert (await client.get("/go?next=/videos/7%3Fpage=2")).headers["location"] == "/videos/7?page=2"
