"""From the samples of the rounds to one number, and from two of these to their ratio."""

from collections.abc import Sequence
from statistics import median

from load.wrk import Sample


def median_of(samples: Sequence[Sample], what: str) -> float | None:
    return median(getattr(sample, what) for sample in samples) if samples else None


def ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value / base
