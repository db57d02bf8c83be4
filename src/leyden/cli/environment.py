"""Which environment a command works in where nobody has said so."""

import os
from ipaddress import ip_address

from leyden.core.settings import IMPLIED_ENVIRONMENT


def imply(environment: str) -> None:
    """What `Settings.environment` is from now on, here and in child processes, unless something sets it."""
    os.environ[IMPLIED_ENVIRONMENT] = environment


def loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
