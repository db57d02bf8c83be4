"""How soon Leyden is there: `import leyden` beside `import fastapi`, and Tube's first ready answer.

    make bench NAME=startup                          about a minute
    .venv/bin/python benchmarks/startup.py --quick   each thing once: whether it works, not how long it takes

Prints `name value unit target pass|short`, saves the numbers of a whole run in benchmarks/results/startup.json, and ends
with exit code 1 where one is short of its target. Measure on a quiet machine.
"""

import argparse
import contextlib
import http.client
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
LEYDEN = Path(sys.executable).with_name("leyden")

IMPORTS = 11
STARTS = 5
DEADLINE = 60.0

# As on a user's machine: compiled once. Some build machines forbid it, and then every import would compile anew.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

IMPORT = "import time; before = time.perf_counter(); import {}; print(time.perf_counter() - before)"


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    target: float | None = None
    samples: list[float] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.target is None:
            return "-"
        return "pass" if self.value <= self.target else "short"

    def __str__(self) -> str:
        target = "-" if self.target is None else f"{self.target:g}"
        return f"{self.name:<32} {self.value:>8.3f} {self.unit:<6} {target:>6} {self.verdict}"


def import_figures(times: int) -> list[Figure]:
    """Both imports in fresh processes, in turn, so that a busy moment of the machine meets both."""
    samples: dict[str, list[float]] = {"fastapi": [], "leyden": []}
    for module in samples:
        seconds_to_import(module)  # compiles
    for _ in range(times):
        for module, seconds in samples.items():
            seconds.append(seconds_to_import(module))
    medians = {module: statistics.median(seconds) for module, seconds in samples.items()}
    return [
        Figure("import_fastapi", medians["fastapi"], "s", samples=samples["fastapi"]),
        Figure("import_leyden", medians["leyden"], "s", samples=samples["leyden"]),
        Figure("import_leyden_to_fastapi", medians["leyden"] / medians["fastapi"], "ratio", target=1.3),
    ]


def seconds_to_import(module: str) -> float:
    command = [sys.executable, "-c", IMPORT.format(module)]
    return float(subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout)


def start_figures(times: int) -> list[Figure]:
    """`leyden run` as it is typed, and without the reloader, each from the start of the process to the first 200."""
    with tube() as folder:
        typed = [seconds_to_ready(folder) for _ in range(times)]
        plain = [seconds_to_ready(folder, "--no-reload") for _ in range(times)]
        app = [seconds_to_import_app(folder) for _ in range(times)]
    return [
        Figure("tube_import", statistics.median(app), "s", samples=app),
        Figure("tube_ready_without_reload", statistics.median(plain), "s", samples=plain),
        Figure("tube_ready", statistics.median(typed), "s", target=1.5, samples=typed),
    ]


@contextlib.contextmanager
def tube() -> Iterator[Path]:
    """A copy of the example with a migrated, filled database."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "tube"
        shutil.copytree(ROOT / "examples" / "tube", folder, ignore=shutil.ignore_patterns("var", "tests"))
        for command in (("db", "upgrade"), ("db", "seed")):
            subprocess.run([LEYDEN, *command], cwd=folder, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
        yield folder


def seconds_to_import_app(folder: Path) -> float:
    command = [sys.executable, "-c", IMPORT.format("tube.app")]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(folder)}
    return float(
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
    )


def seconds_to_ready(folder: Path, *options: str) -> float:
    port = free_port()
    before = time.perf_counter()
    command = [str(LEYDEN), "run", "--port", str(port), *options]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        while not ready(port):
            if server.poll() is not None or time.perf_counter() - before > DEADLINE:
                sys.exit(f"{' '.join(command)} did not become ready")
            time.sleep(0.005)
        return time.perf_counter() - before
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(DEADLINE)


def ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def save(figures: list[Figure]) -> None:
    machine = {"python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count()}
    RESULTS.mkdir(exist_ok=True)
    measured = {"machine": machine, "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in figures]}
    (RESULTS / "startup.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="How soon Leyden is there.")
    parser.add_argument("--quick", action="store_true", help="each thing once; nothing is saved")
    quick = parser.parse_args().quick
    figures = [*import_figures(1 if quick else IMPORTS), *start_figures(1 if quick else STARTS)]
    for figure in figures:
        print(figure)
    if not quick:
        save(figures)
    return int(any(figure.verdict == "short" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
