"""One run of wrk on a core of its own."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from load.servers import Server, WrongError

CORE = "0"
CONNECTIONS = 32
LOADS = ("point", "list", "insert")
TIMEOUT = 10
"""Seconds after which an answer is late: code that waits its turn at SQLite's lock may wait for five."""
SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True)
class Sample:
    """Requests a second, and how long half and 99 in 100 of them took at most, in milliseconds."""

    requests: int
    per_second: float
    p50: float
    p99: float


def run(server: Server, seconds: int, *asked: str) -> Sample:
    """What is asked for is in requests.lua. Raises WrongError when an answer was no success: there is no figure then."""
    return pressed(
        f"{server.app.name}, {asked[0]}",
        "wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s", f"--timeout={TIMEOUT}s",
        "--latency", f"--script={SCRIPT}", f"http://127.0.0.1:{server.port}", "--", *asked,
    )  # fmt: skip


def pressed(name: str, *command: str, folder: Path | None = None) -> Sample:
    """What a generator of load finds, on the core that it has for itself. Raises WrongError."""
    done = subprocess.run(["taskset", "-c", CORE, *command], capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise WrongError(f"{name}: {command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    try:
        return parse(done.stdout)
    except WrongError as error:
        raise WrongError(f"{name}: {error}") from None


def parse(output: str) -> Sample:
    """The line of JSON that requests.lua writes. Raises WrongError."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise WrongError(f"wrk said nothing of use: {output!r}")
    told = json.loads(lines[-1])
    wrong = {name: told[name] for name in ("refused", "broken", "late") if told[name]}
    if wrong or not told["requests"]:
        said = ", ".join(f"{count} {name}" for name, count in wrong.items()) or "nothing answered"
        raise WrongError(f"{said} of {told['requests']} requests")
    return Sample(
        requests=told["requests"],
        per_second=told["requests"] / told["microseconds"] * 1_000_000,
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
    )


def version() -> str:
    told = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return told.partition(" [")[0]
