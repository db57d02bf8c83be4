"""From samples to figures: medians, their ratios to handbook code in the same run, and what these must be."""

from collections.abc import Iterator, Mapping, Sequence

from load.apps import (
    APPS,
    HANDBOOK,
    HANDBOOK_AGAIN,
    IN_MEMORY,
    PEERS,
    PREPARED,
    PREPARED_COMPILED,
    SESSION,
    SESSION_COMPILED,
)
from load.figures import Figure, Target
from load.medians import median_of, ratio
from load.wrk import LOADS, Sample

Samples = Mapping[tuple[str, str, str], Sequence[Sample]]
"""By database, load and app; an app that failed has none."""

SESSION_TARGET = Target(">=", 1.3)
PREPARED_TARGETS = {
    ("postgresql", "point"): Target(">=", 3.3),
    ("postgresql", "list"): Target(">=", 2.7),
    ("postgresql", "insert"): Target(">=", 3.0),
    ("sqlite", "point"): Target(">=", 6.0),
    ("sqlite", "list"): Target(">=", 5.0),
    ("sqlite", "insert"): Target(">=", 3.0),
}
COMPILED_TARGETS = {
    ("postgresql", "point"): Target(">=", 5.0),
    ("postgresql", "list"): Target(">=", 4.0),
    ("sqlite", "point"): Target(">=", 12.0),
    ("sqlite", "list"): Target(">=", 8.0),
}
"""Prepared statements on compiled routes; the others are on stock FastAPI's request path."""


def measured(samples: Samples) -> Iterator[Figure]:
    """What each app did, without a target."""
    for (database, load, app), found in samples.items():
        name = f"{database}_{load}_{app}"
        yield Figure(name, median_of(found, "per_second"), "req/s")
        yield Figure(f"{name}_p99", median_of(found, "p99"), "ms")


def compared(samples: Samples, databases: Sequence[str], loads: Sequence[str] = LOADS) -> Iterator[Figure]:
    """Every target; one whose apps were not all measured is missing, and missed."""
    for database in databases:
        for load in loads:
            yield from _faster(samples, database, load)
            yield from _sooner(samples, database, load)


def _faster(samples: Samples, database: str, load: str) -> Iterator[Figure]:
    rate = {app.name: median_of(samples.get((database, load, app.name), ()), "per_second") for app in APPS}
    name = f"{database}_{load}"
    for kind, app, handbook, target in (
        ("session", SESSION, HANDBOOK, SESSION_TARGET),
        ("prepared", PREPARED, HANDBOOK, PREPARED_TARGETS[database, load]),
        ("session_compiled", SESSION_COMPILED, HANDBOOK_AGAIN, None),
        ("prepared_compiled", PREPARED_COMPILED, HANDBOOK_AGAIN, COMPILED_TARGETS.get((database, load))),
        ("in_memory", IN_MEMORY, HANDBOOK, None),
    ):
        yield Figure(f"{name}_{kind}_to_handbook", ratio(rate[app.name], rate[handbook.name]), "ratio", target)
    best = _best([rate[peer.name] for peer in PEERS])
    yield Figure(f"{name}_prepared_to_best_peer", ratio(rate[PREPARED.name], best), "ratio", Target(">", 1))


def _sooner(samples: Samples, database: str, load: str) -> Iterator[Figure]:
    late = {app.name: median_of(samples.get((database, load, app.name), ()), "p99") for app in APPS}
    for kind, app in (("session", SESSION), ("prepared", PREPARED)):
        slow = ratio(late[app.name], late[HANDBOOK.name])
        yield Figure(f"{database}_{load}_{kind}_p99_to_handbook", slow, "ratio", Target("<", 1))


def _best(rates: Sequence[float | None]) -> float | None:
    """None where one of them is not known: it may have been the best."""
    known = [rate for rate in rates if rate is not None]
    return max(known) if len(known) == len(rates) else None
