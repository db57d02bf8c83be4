"""Where the server listens, taken before anything else starts."""

import errno
import os
import socket

from leyden.core.errors import StartError

BACKLOG = 2048
LAST_PORT = 65535


class AddressTakenError(StartError):
    """Port {port} of {host} is taken. Stop what listens there, or take another: leyden run --port {other}."""

    code = "address_taken"


class AddressError(StartError):
    """The app cannot listen on {host}, port {port}: {reason}. Choose others: leyden run --host 127.0.0.1 --port 8000."""

    code = "address"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that of two servers started at once the second one is told.

    Clients that come before the app is ready wait instead of being refused.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressError(host=host, port=port, reason=_reason(error)) from error
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressTakenError(host=host, port=port, other=port % LAST_PORT + 1) from error
        raise AddressError(host=host, port=port, reason=_reason(error)) from error
    taken.set_inheritable(True)
    return taken


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower().rstrip(".")
