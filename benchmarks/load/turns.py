"""Apps that take turns, round by round, so that a busy moment of the machine meets them all."""

import contextlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeVar

from load import figures
from load.apps import HERE, App
from load.figures import Figure
from load.servers import WrongError
from load.wrk import Sample

WARM_UP = 1


class Contestant(Protocol):
    @property
    def app(self) -> App: ...


C = TypeVar("C", bound=Contestant)


@dataclass
class Findings:
    """Samples by place, load and app: a place is what an app can fail in, a database or a row of the table."""

    samples: defaultdict[tuple[str, str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def fail(self, place: str, app: App, error: Exception) -> None:
        """An app that was wrong once in a place has no figures there."""
        self.errors.append(f"{place}: {error}")
        say(f"  error: {error}")
        for key in [key for key in self.samples if (key[0], key[2]) == (place, app.name)]:
            del self.samples[key]

    def as_json(self) -> dict[str, Any]:
        samples = {" ".join(key): [asdict(sample) for sample in taken] for key, taken in self.samples.items()}
        return {"errors": self.errors, "samples": samples}


def take(
    found: Findings,
    place: str,
    load: str,
    running: list[C],
    rounds: int,
    seconds: int,
    press: Callable[[C, int], Sample],
) -> None:
    """The first turn warms up, and is not counted; `press` is told how many seconds one takes."""
    for turn in range(rounds + 1):
        for one in list(running):
            with judged(found, place, one, running):
                sample = press(one, seconds if turn else WARM_UP)
                if turn:
                    found.samples[place, load, one.app.name].append(sample)
                    say(f"  {load:<7} {turn}/{rounds} {one.app.name:<16} {line(sample)}")


@contextlib.contextmanager
def judged(found: Findings, place: str, one: C, running: list[C] | None = None) -> Iterator[None]:
    """What goes wrong inside costs the app its figures, and its place among those that run."""
    try:
        yield
    except WrongError as error:
        found.fail(place, one.app, error)
        if running is not None:
            running.remove(one)


def report(name: str, lines: Sequence[Figure], found: Findings, facts: Mapping[str, Any] | None) -> int:
    """Print it, and save it where there are facts, which a whole run has; what the command ends with."""
    for figure in lines:
        print(figure)
    for error in found.errors:
        print(f"error: {error}")
    if facts is not None:
        say(f"Saved in {figures.save(name, lines, **facts, **found.as_json()).relative_to(HERE.parent)}")
    return int(bool(found.errors) or not all(figure.good for figure in lines))


def line(sample: Sample) -> str:
    return f"{sample.per_second:>8.0f} req/s  p50 {sample.p50:>6.2f} ms  p99 {sample.p99:>6.2f} ms"


def say(text: str) -> None:
    """Progress, beside the figures."""
    print(text, file=sys.stderr, flush=True)
