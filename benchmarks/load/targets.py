"""From samples to figures: medians, their ratios to handbook code in the same run, and what these must be."""

from collections.abc import Iterator, Mapping, Sequence

from load.apps import APPS, HANDBOOK, IN_MEMORY, PEERS, PREPARED, SESSION
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
            rate = {app: median_of(samples.get((database, load, app), ()), "per_second") for app in _names()}
            late = {app: median_of(samples.get((database, load, app), ()), "p99") for app in _names()}
            handbook, prepared = rate[HANDBOOK.name], rate[PREPARED.name]
            name = f"{database}_{load}"
            yield Figure(f"{name}_session_to_handbook", ratio(rate[SESSION.name], handbook), "ratio", SESSION_TARGET)
            target = PREPARED_TARGETS[database, load]
            yield Figure(f"{name}_prepared_to_handbook", ratio(prepared, handbook), "ratio", target)
            yield Figure(f"{name}_in_memory_to_handbook", ratio(rate[IN_MEMORY.name], handbook), "ratio")
            best = _best([rate[peer.name] for peer in PEERS])
            yield Figure(f"{name}_prepared_to_best_peer", ratio(prepared, best), "ratio", Target(">", 1))
            for kind, app in (("session", SESSION), ("prepared", PREPARED)):
                slow = ratio(late[app.name], late[HANDBOOK.name])
                yield Figure(f"{name}_{kind}_p99_to_handbook", slow, "ratio", Target("<", 1))


def _names() -> Iterator[str]:
    yield from (app.name for app in APPS)


def _best(rates: Sequence[float | None]) -> float | None:
    """None where one of them is not known: it may have been the best."""
    known = [rate for rate in rates if rate is not None]
    return max(known) if len(known) == len(rates) else None
