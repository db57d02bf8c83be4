"""From samples to figures: medians, their ratios in the same run, and what these must be."""

from collections.abc import Iterator, Mapping, Sequence

from load.figures import Figure, Target
from load.medians import median_of, ratio
from load.wrk import Sample
from speed.cases import CHAIN, LIST, POST, SMALL, TABLE, Row
from speed.contestants import ACCELERATED, FASTAPI, LEYDEN, PEERS, RAW, pair

FULL, STEADY = "full", "steady"

Samples = Mapping[tuple[str, str, str], Sequence[Sample]]
"""By row, load and app; an app that failed has none."""

ACCELERATED_TARGETS = {
    SMALL.name: Target(">=", 3.8),
    CHAIN.name: Target(">=", 5.5),
    POST.name: Target(">=", 3.5),
    LIST.name: Target(">=", 1.6),
}
LEYDEN_TARGET = Target(">=", 2.5)
"""Not on the list, where there is not so much to win."""
RAW_TARGET = Target(">=", 0.9)
FLAT = Target("<=", 1.3)
COMPILED = Target("<=", 1)


def measured(samples: Samples) -> Iterator[Figure]:
    """What each app did, without a target."""
    for (row, load, app), found in samples.items():
        name = f"{row}_{app}" if load == FULL else f"{row}_{app}_{load}"
        yield Figure(name, median_of(found, "per_second"), "req/s")
        yield Figure(f"{name}_p99", median_of(found, "p99"), "ms")


def compared(samples: Samples, rows: Sequence[Row]) -> Iterator[Figure]:
    """Every comparison; one whose apps were not all measured is missing, and missed."""
    for row in rows:
        stock, accelerated = (median_of(samples.get((row.name, FULL, app.name), ()), "per_second") for app in pair(row))
        target = ACCELERATED_TARGETS.get(row.name)
        yield Figure(f"{row.name}_accelerated_to_fastapi", ratio(accelerated, stock), "ratio", target)
        if row in TABLE:
            yield from _beside_others(samples, row, stock, accelerated)


def _beside_others(samples: Samples, row: Row, stock: float | None, accelerated: float | None) -> Iterator[Figure]:
    def rate(app: str) -> float | None:
        return median_of(samples.get((row.name, FULL, app), ()), "per_second")

    target = None if row is LIST else LEYDEN_TARGET
    yield Figure(f"{row.name}_leyden_to_fastapi", ratio(rate(LEYDEN.name), stock), "ratio", target)
    for peer in PEERS:
        yield Figure(
            f"{row.name}_accelerated_to_{peer.name}", ratio(accelerated, rate(peer.name)), "ratio", Target(">", 1)
        )
    raw = RAW_TARGET if row is SMALL else None
    yield Figure(f"{row.name}_accelerated_to_raw_asgi", ratio(accelerated, rate(RAW.name)), "ratio", raw)
    late = [median_of(samples.get((row.name, STEADY, app.name), ()), "p99") for app in (ACCELERATED, FASTAPI)]
    yield Figure(f"{row.name}_steady_p99_to_fastapi", ratio(*late), "ratio", Target("<", 1))


def by_routes(costs: Mapping[int, Mapping[str, float]]) -> Iterator[Figure]:
    """Microseconds a request, by the number of routes, and by app."""
    for number, cost in costs.items():
        for app, microseconds in cost.items():
            yield Figure(f"routes_{number}_{app}", microseconds, "us")
    accelerated = [cost[ACCELERATED.name] for cost in costs.values()]
    yield Figure("routes_largest_to_smallest", ratio(max(accelerated), min(accelerated)), "ratio", FLAT)


def compiling(routes: int, seconds: float, grown: Mapping[str, float]) -> Iterator[Figure]:
    """What it takes to compile so many routes; memory in bytes by app."""
    yield Figure(f"compile_{routes}_a_route", seconds / routes * 1000, "ms", COMPILED)
    for app, memory in grown.items():
        yield Figure(f"memory_of_{routes}_{app}", memory / 1e6, "MB")
