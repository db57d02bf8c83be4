#!/usr/bin/env python3
"""FastAPI's own test suite, as it is and with every application accelerated: each test must end the same way.

    make conformance

Takes the source distribution of the FastAPI that is installed here, an environment of its own with what its tests need,
both below var/conformance, and a few minutes. Fails too when less than SHARE per cent of the requests that reach a route
are served by compiled code.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[1]
VAR = ROOT / "var" / "conformance"
SHARE = 75
LEYDEN_NEEDS = ("pydantic-settings", "rich")
REPORT = VAR / "turbo.json"
ACCELERATED = ("-p", "leyden.testing.turbo_everywhere", f"--turbo-report={REPORT}")

Outcomes = dict[str, str]


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    fastapi = version("fastapi")
    sources = unpacked(fastapi)
    python = environment(sources)
    print(f"FastAPI {fastapi}, its own tests, as it is:", flush=True)
    stock = run(python, sources, "stock")
    print("\nThe same with every application accelerated:", flush=True)
    accelerated = run(python, sources, "accelerated", *ACCELERATED)
    same = compared(stock, accelerated)
    return 0 if enough_is_compiled() and same else 1


def unpacked(fastapi: str) -> Path:
    folder = VAR / f"fastapi-{fastapi}"
    if not folder.is_dir():
        parts = VAR / "unpacking"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
        call(*pip, "download", "--no-deps", "--no-binary=fastapi", f"--dest={VAR}", f"fastapi=={fastapi}")
        with tarfile.open(VAR / f"fastapi-{fastapi}.tar.gz") as archive:
            archive.extractall(parts, filter="data")
        (parts / folder.name).rename(folder)
    return folder


def environment(sources: Path) -> Path:
    """What FastAPI is tested with, at the versions that Leyden itself runs on where it has them; not Leyden."""
    folder = VAR / "venv"
    python, marker, made_for = folder / "bin" / "python", folder / "made-for", "".join(pinned())
    if not marker.is_file() or marker.read_text() != made_for:
        print(f"Installing what the tests of {sources.name} need ...", flush=True)
        call(sys.executable, "-m", "venv", "--clear", str(folder))
        pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
        pins = VAR / "constraints.txt"
        pins.write_text(made_for)
        needed = (f"{sources}[all]", *LEYDEN_NEEDS, *group(sources, "tests"))
        call(*pip, "install", f"--constraint={pins}", *needed)
        marker.write_text(made_for)
    return python


def pinned() -> list[str]:
    """Of what serves a request; for the rest FastAPI's tests have wishes of their own."""
    return [f"{name}=={version(name)}\n" for name in ("fastapi", "starlette", "pydantic", "pydantic-core", "anyio")]


def group(sources: Path, name: str) -> list[str]:
    groups = tomllib.loads((sources / "pyproject.toml").read_text())["dependency-groups"]
    found = []
    for entry in groups[name]:
        found += [entry] if isinstance(entry, str) else group(sources, entry["include-group"])
    return found


def run(python: Path, sources: Path, name: str, *options: str) -> Outcomes:
    """How each test ended."""
    results = VAR / f"{name}.xml"
    for old in (results, REPORT):
        old.unlink(missing_ok=True)
    pytest = (str(python), "-m", "pytest", "tests", "--numprocesses=2", "-p", "no:sugar", "-p", "no:cacheprovider")
    subprocess.run(
        [*pytest, "--quiet", "--tb=short", "--no-header", f"--junitxml={results}", *options],
        cwd=sources,
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "0"},
        check=False,
    )
    if not results.is_file():
        sys.exit("pytest has ended without a result; what it says stands above.")
    return outcomes(results)


def outcomes(results: Path) -> Outcomes:
    found = Outcomes()
    for case in ET.parse(results).iter("testcase"):  # noqa: S314 -- pytest has just written it
        told = [part.get("type") or part.tag for part in case if part.tag in ("failure", "error", "skipped")]
        found[f"{case.get('classname')}::{case.get('name')}"] = re.sub(r"^pytest\.", "", told[0]) if told else "passed"
    return found


def compared(stock: Outcomes, accelerated: Outcomes) -> bool:
    """Whether every test ended the same way."""
    print()
    for name, found in (("stock", stock), ("accelerated", accelerated)):
        print(f"{name:<12}", ", ".join(f"{count} {how}" for how, count in Counter(found.values()).most_common()))
    different = [test for test in sorted({*stock, *accelerated}) if stock.get(test) != accelerated.get(test)]
    for test in different:
        print(f"different: {test}: {stock.get(test)}, accelerated {accelerated.get(test)}")
    return bool(stock) and not different


def enough_is_compiled() -> bool:
    served: dict[str, int] = json.loads(REPORT.read_text())
    share = 100 * served.get("compiled", 0) / (sum(served.values()) or 1)
    verdict = "pass" if share >= SHARE else "short"
    print(f"turbo_conformance_compiled {share:.1f} % >={SHARE} {verdict}")
    return verdict == "pass"


def call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:6])} ... ended with {done.returncode}:\n{done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
