"""A load that holds its rate, which wrk does not: how long requests take when there are as many as there are.

    python -m load.steady PORT RATE SECONDS FILE

Every request has the moment at which it is due, evenly spaced, and its time counts from that moment until the last byte
of the answer: one that finds every connection busy waits, and the wait counts. The process spins, so that a request
leaves when it is due, on a core of its own. FILE is as requests.lua has it, and so is the line that is printed.
"""

import gc
import json
import math
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from load.servers import Server, WrongError
from load.wrk import CONNECTIONS, Sample, pressed

HELD = 0.99
GRACE = 5.0
"""Seconds after the last was due."""
HEAD_ENDS = b"\r\n\r\n"
LENGTH = b"content-length:"


def run(server: Server, rate: float, seconds: int, requests: Path) -> Sample:
    """Raises WrongError when an answer was no success, or when the rate was not held."""
    command = (sys.executable, "-m", "load.steady", str(server.port), f"{rate:.1f}", str(seconds), str(requests))
    sample = pressed(f"{server.app.name}, steady", *command, folder=Path(__file__).parents[1])
    return held(server.app.name, sample, rate)


def held(name: str, sample: Sample, rate: float) -> Sample:
    """Raises WrongError when it is of another load than was meant."""
    if sample.per_second < HELD * rate:
        raise WrongError(f"{name} had {sample.per_second:.0f} requests a second, not {rate:.0f}")
    return sample


@dataclass
class Call:
    """One connection, and what of an answer has come on it."""

    connection: socket.socket
    due: float = 0.0
    come: bytes = b""


@dataclass
class Drive:
    """The load while it runs."""

    rate: float
    requests: Sequence[bytes]
    idle: list[Call]
    times: list[float] = field(default_factory=list)
    refused: int = 0
    broken: int = 0

    def go(self, seconds: int) -> float:
        """Until every answer is there; how long that took."""
        gap, total, sent = 1 / self.rate, int(self.rate * seconds), 0
        following, busy, calls = cycle(self.requests), select.epoll(), {}
        for call in self.idle:
            calls[call.connection.fileno()] = call
            busy.register(call.connection, select.EPOLLIN)
        began = now = time.perf_counter()
        end = began + seconds + GRACE
        while len(self.times) < total and now < end and not self.broken:
            if sent < total and self.idle and began + sent * gap <= now:
                call = self.idle.pop()
                call.due = began + sent * gap
                call.connection.send(next(following))
                sent += 1
            for number, _event in busy.poll(0):
                self._read(calls[number])
            now = time.perf_counter()
        return now - began

    def _read(self, call: Call) -> None:
        piece = call.connection.recv(65536)
        call.come = call.come + piece if call.come else piece
        if not piece:
            self.broken += 1
        elif complete(call.come):
            self.times.append(time.perf_counter() - call.due)
            self.refused += not call.come.startswith(b"HTTP/1.1 2")
            call.come = b""
            self.idle.append(call)


def complete(answer: bytes) -> bool:
    """Whether it is all there, by the length that it says."""
    head, found, body = answer.partition(HEAD_ENDS)
    if not found:
        return False
    _, found, after = head.lower().partition(LENGTH)
    return bool(found) and len(body) >= int(after.partition(b"\r\n")[0])


def percentile(times: Sequence[float], part: float) -> float:
    """Of sorted times: as long or less took this part of them."""
    return times[max(0, math.ceil(part * len(times)) - 1)] if times else 0.0


def main() -> None:
    port, rate, seconds, file = sys.argv[1:]
    requests = Path(file).read_bytes().split(b"\0")[:-1]
    calls = [Call(socket.create_connection(("127.0.0.1", int(port)), timeout=GRACE)) for _ in range(CONNECTIONS)]
    for call in calls:
        call.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    gc.disable()
    drive = Drive(float(rate), requests, calls)
    took = drive.go(int(seconds))
    times = sorted(drive.times)
    told = {
        "requests": len(times),
        "microseconds": took * 1e6,
        "p50": percentile(times, 0.5) * 1e6,
        "p99": percentile(times, 0.99) * 1e6,
        "refused": drive.refused,
        "broken": drive.broken,
        "late": int(float(rate) * int(seconds)) - len(times),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
