"""A benchmark counts what was measured, and calls a missed target missed."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
DATABASES = ("postgresql", "sqlite")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules behind `make bench NAME=data`, which are no package of Leyden's."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    names = ("apps", "figures", "rows", "servers", "targets", "wrk")
    return SimpleNamespace(**{name: importlib.import_module(f"load.{name}") for name in names})


@pytest.fixture
def bench(load: SimpleNamespace) -> ModuleType:
    return importlib.import_module("data")


def said(**other: int) -> str:
    counted = {"requests": 3000, "microseconds": 2_000_000, "p50": 1500, "p99": 9000}
    wrong = {"refused": 0, "broken": 0, "late": 0}
    return "Running 2s test @ http://127.0.0.1:1\n  1 threads\n" + json.dumps({**counted, **wrong, **other}) + "\n"


def test_a_run_of_wrk_is_read_in_requests_a_second_and_milliseconds(load: SimpleNamespace) -> None:
    assert load.wrk.parse(said()) == load.wrk.Sample(requests=3000, per_second=1500.0, p50=1.5, p99=9.0)


@pytest.mark.parametrize("wrong", ["refused", "broken", "late"])
def test_a_run_with_an_answer_that_is_no_success_is_an_error_and_no_figure(load: SimpleNamespace, wrong: str) -> None:
    with pytest.raises(load.servers.WrongError, match=f"1 {wrong} of 3000 requests"):
        load.wrk.parse(said(**{wrong: 1}))


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1\n", said(requests=0)])
def test_a_run_without_answers_is_an_error(load: SimpleNamespace, output: str) -> None:
    with pytest.raises(load.servers.WrongError):
        load.wrk.parse(output)


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        ((">=", 1.3), 1.3, "pass"),
        ((">=", 1.3), 1.2999, "short"),
        ((">", 1), 1.0, "short"),
        (("<", 1), 1.0, "short"),
        (("<", 1), 0.99, "pass"),
        ((">=", 1.3), None, "missing"),
        (None, 5.0, "-"),
    ],
)
def test_a_figure_is_judged_by_what_was_measured_not_by_what_is_printed(
    load: SimpleNamespace, target: tuple[str, float] | None, value: float | None, verdict: str
) -> None:
    figure = load.figures.Figure("x", value, "ratio", load.figures.Target(*target) if target else None)
    assert figure.verdict == verdict
    assert str(figure).split()[-1] == verdict
    assert figure.good == (verdict in ("pass", "-"))


def samples(load: SimpleNamespace, rates: dict[str, float]) -> dict[tuple[str, str, str], list[object]]:
    """Three rounds an app, of which the middle one counts; the faster an app, the lower its p99."""
    return {
        (database, kind, app): [load.wrk.Sample(1, rate * factor, 1, 1000 / rate) for factor in (0.1, 1, 1.5)]
        for database in DATABASES
        for kind in load.wrk.LOADS
        for app, rate in rates.items()
    }


FAST: dict[str, float] = {
    "handbook": 100,
    "leyden_session": 130,
    "leyden_prepared": 601,
    "tortoise": 600,
    "sqlmodel": 90,
    "django": 10,
}


def test_every_target_is_met_by_an_app_that_is_fast_enough(load: SimpleNamespace) -> None:
    figures = list(load.targets.compared(samples(load, FAST), DATABASES))
    assert len(figures) == 2 * 3 * 5
    assert {figure.verdict for figure in figures} == {"pass"}


@pytest.mark.parametrize(
    ("slower", "short"),
    [
        ({"leyden_session": 129}, {"session_to_handbook"}),
        ({"tortoise": 602}, {"prepared_to_best_peer"}),
        ({"leyden_session": 99}, {"session_to_handbook", "session_p99_to_handbook"}),
        ({"leyden_prepared": 99, "tortoise": 98}, {"prepared_to_handbook", "prepared_p99_to_handbook"}),
    ],
)
def test_one_that_is_not_falls_short_where_it_is_slow(
    load: SimpleNamespace, slower: dict[str, float], short: set[str]
) -> None:
    figures = load.targets.compared(samples(load, {**FAST, **slower}), ["sqlite"], ["point"])
    assert {figure.name for figure in figures if figure.verdict == "short"} == {
        f"sqlite_point_{name}" for name in short
    }


def test_a_peer_that_could_not_be_measured_is_not_taken_for_beaten(load: SimpleNamespace) -> None:
    rates = {app: rate for app, rate in FAST.items() if app != "django"}
    figures = load.targets.compared(samples(load, rates), ["sqlite"], ["point"])
    assert [figure.name for figure in figures if figure.verdict == "missing"] == ["sqlite_point_prepared_to_best_peer"]


def test_an_app_that_was_wrong_has_no_figures_on_that_database(load: SimpleNamespace, bench: ModuleType) -> None:
    found = bench.Findings()
    found.samples.update(samples(load, FAST))
    found.fail("sqlite", load.apps.HANDBOOK, load.servers.WrongError("it lost a row"))
    assert ("sqlite", "point", "handbook") not in found.samples
    assert ("postgresql", "point", "handbook") in found.samples
    assert found.errors == ["sqlite: it lost a row"]


@pytest.mark.parametrize("there", [10_019, 10_053])
def test_rows_that_were_acknowledged_and_are_not_there_are_an_error_and_so_are_others(
    load: SimpleNamespace, bench: ModuleType, there: int
) -> None:
    server = load.servers.Server(load.apps.HANDBOOK, "url", 1, Path("log"), acknowledged=20, cut=32)
    with pytest.raises(load.servers.WrongError, match="acknowledged 20 inserts"):
        bench.count(SimpleNamespace(count=lambda _url: there), server)


@pytest.mark.parametrize("there", [10_020, 10_052])
def test_rows_in_flight_when_wrk_was_cut_may_be_there_unacknowledged(
    load: SimpleNamespace, bench: ModuleType, there: int
) -> None:
    server = load.servers.Server(load.apps.HANDBOOK, "url", 1, Path("log"), acknowledged=20, cut=32)
    bench.count(SimpleNamespace(count=lambda _url: there), server)


def test_what_is_measured_can_be_narrowed_to_names_that_are_known(
    load: SimpleNamespace, bench: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = bench.planned(["--only", "sqlite,point,handbook", "--rounds", "1"])
    assert (plan.databases, plan.loads, plan.apps, plan.rounds) == (["sqlite"], ["point"], [load.apps.HANDBOOK], 1)
    assert not plan.whole
    assert bench.planned([]).whole
    with pytest.raises(SystemExit):
        bench.planned(["--only", "sqlight"])
    assert "there is no sqlight; --only knows django, handbook" in capsys.readouterr().err


def test_a_machine_without_wrk_is_told_what_to_install(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert bench.why_not() == "wrk is not installed, and it makes the load. Run: apt install wrk."


def test_peers_are_pinned_to_the_versions_that_leyden_itself_runs_on(load: SimpleNamespace) -> None:
    """Else a faster server, and not a faster ORM, might be what was measured."""
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()[1:])
    for app in load.apps.PEERS:
        lines = app.requirements.read_text().splitlines()
        versions = dict(line.split("==") for line in lines)
        assert {name: version for name, version in versions.items() if pinned.get(name, version) != version} == {}
        assert "uvicorn" in versions


def test_the_start_is_measured_from_the_import_to_the_first_ready_answer_of_the_example() -> None:
    kept = (ROOT / "benchmarks" / "results" / "startup.json").read_bytes()
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "startup.py", "--quick"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    figures = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
    imports = ("import_fastapi", "import_leyden", "import_leyden_to_fastapi", "tube_import")
    assert set(figures) == {*imports, "tube_ready", "tube_ready_without_reload"}, done.stderr
    assert min(figures.values()) > 0
    assert (ROOT / "benchmarks" / "results" / "startup.json").read_bytes() == kept
