"""A measured number beside its target, and the file that keeps them."""

import json
import operator
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Target:
    """What a figure must be, as `>=` and a number."""

    compare: str
    bound: float

    def __str__(self) -> str:
        return f"{self.compare}{self.bound:g}"

    def met(self, value: float) -> bool:
        return COMPARE[self.compare](value, self.bound)


@dataclass(frozen=True)
class Figure:
    """One line of a benchmark; without a value it could not be measured, and is no pass."""

    name: str
    value: float | None
    unit: str
    target: Target | None = None

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "missing"
        if self.target is None:
            return "-"
        return "pass" if self.target.met(self.value) else "short"

    @property
    def good(self) -> bool:
        return self.verdict in ("pass", "-")

    def __str__(self) -> str:
        value = "-" if self.value is None else f"{self.value:.2f}"
        target = "-" if self.target is None else str(self.target)
        return f"{self.name:<44} {value:>10} {self.unit:<6} {target:>6} {self.verdict}"

    def as_json(self) -> dict[str, Any]:
        target = None if self.target is None else str(self.target)
        return {"name": self.name, "value": self.value, "unit": self.unit, "target": target, "verdict": self.verdict}


def save(name: str, figures: Sequence[Figure], **facts: Any) -> Path:
    """Write what was measured, and where, to results/`name`.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    measured = {"machine": machine(), **facts, "figures": [figure.as_json() for figure in figures]}
    path.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "cpu": _cpu(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    told = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("Model name")]
    return names[0] if names else platform.machine()
