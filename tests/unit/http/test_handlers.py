from collections.abc import Callable

import pytest
from fastapi import FastAPI, HTTPException, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from leyden.core.errors import NotFoundError


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    made = make_app(hosts=("ours.example",))

    @made.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    @made.websocket("/refuse")
    async def refuse(_socket: WebSocket) -> None:
        raise HTTPException(401)

    @made.websocket("/late")
    async def late(socket: WebSocket) -> None:
        await socket.accept()
        raise NotFoundError

    return made


OURS = {"host": "ours.example"}


def test_a_socket_passes_the_stack_unharmed_and_has_a_request_id(app: FastAPI) -> None:
    with TestClient(app, headers=OURS) as client, client.websocket_connect("/echo") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
        assert "x-request-id" in str(socket.extra_headers)


@pytest.mark.parametrize(
    ("path", "host", "status", "code"),
    [
        ("/refuse", "ours.example", 401, "unauthorized"),
        ("/echo", "evil.example", 400, "host_refused"),
        ("/echo", "ours.example/x", 400, "host_refused"),
    ],
)
def test_a_socket_that_is_refused_gets_a_problem(app: FastAPI, path: str, host: str, status: int, code: str) -> None:
    with (
        TestClient(app, headers={"host": host}) as client,
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(path),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()["code"]) == (status, code)


def test_a_socket_refused_after_it_was_accepted_is_closed(app: FastAPI) -> None:
    with (
        TestClient(app, headers=OURS) as client,
        client.websocket_connect("/late") as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_text()
    assert closed.value.code == 1008
