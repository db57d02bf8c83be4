import socket
import threading

import pytest

from leyden.cli.address import AddressError, AddressTakenError, listen


def test_a_socket_listens_at_once() -> None:
    with listen("127.0.0.1", 0) as taken, socket.create_connection(taken.getsockname()[:2], timeout=1):
        assert taken.get_inheritable()


def test_a_port_in_use_is_a_sentence_that_says_what_to_do() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(AddressTakenError, match=f"Port {port} of 127.0.0.1 is taken.*--port {port + 1}"):
            listen("127.0.0.1", port)


def test_of_many_that_start_at_once_one_gets_the_port() -> None:
    with listen("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    got: list[socket.socket] = []
    refused: list[AddressTakenError] = []
    gate = threading.Barrier(8)

    def attempt() -> None:
        gate.wait()
        try:
            got.append(listen("127.0.0.1", port))
        except AddressTakenError as error:
            refused.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for taken in got:
        taken.close()
    assert (len(got), len(refused)) == (1, 7)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_that_cannot_be_had_is_a_sentence(host: str) -> None:
    with pytest.raises(AddressError, match="cannot listen on"):
        listen(host, 0)
