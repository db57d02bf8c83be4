"""A benchmark counts what was measured, and calls a missed target missed."""

import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[1]
DATABASES = ("postgresql", "sqlite")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules behind `make bench NAME=data`, which are no package of Leyden's."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    names = ("apps", "arguments", "figures", "servers", "steady", "store", "targets", "turns", "wrk")
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
    "handbook_again": 100,
    "session_compiled": 200,
    "prepared_compiled": 1200,
    "in_memory": 700,
}


def test_every_target_is_met_by_an_app_that_is_fast_enough(load: SimpleNamespace) -> None:
    figures = list(load.targets.compared(samples(load, FAST), DATABASES))
    assert len(figures) == 2 * 3 * 8
    assert {figure.verdict for figure in figures if figure.target is not None} == {"pass"}
    assert {figure.value for figure in figures if figure.target is None} == {2, 7, 12}


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


def test_an_app_that_was_wrong_has_no_figures_on_that_database(load: SimpleNamespace) -> None:
    found = load.turns.Findings()
    found.samples.update(samples(load, FAST))
    found.fail("sqlite", load.apps.HANDBOOK, load.servers.WrongError("it lost a row"))
    assert ("sqlite", "point", "handbook") not in found.samples
    assert ("postgresql", "point", "handbook") in found.samples
    assert found.errors == ["sqlite: it lost a row"]


@pytest.mark.parametrize("there", [10_019, 10_053])
def test_rows_that_were_acknowledged_and_are_not_there_are_an_error_and_so_are_others(
    load: SimpleNamespace, bench: ModuleType, there: int
) -> None:
    store = load.store.Store(load.servers.Server(load.apps.HANDBOOK, 1, Path("log")), "url", acknowledged=20, cut=32)
    with pytest.raises(load.servers.WrongError, match="acknowledged 20 inserts"):
        bench.count(SimpleNamespace(count=lambda _url: there), store)


@pytest.mark.parametrize("there", [10_020, 10_052])
def test_rows_in_flight_when_wrk_was_cut_may_be_there_unacknowledged(
    load: SimpleNamespace, bench: ModuleType, there: int
) -> None:
    store = load.store.Store(load.servers.Server(load.apps.HANDBOOK, 1, Path("log")), "url", acknowledged=20, cut=32)
    bench.count(SimpleNamespace(count=lambda _url: there), store)


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


def test_a_machine_without_wrk_is_told_what_to_install(load: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert load.arguments.why_not() == "wrk is not installed, and it makes the load. Run: apt install wrk."


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


def test_peers_are_pinned_to_the_versions_that_leyden_itself_runs_on(
    load: SimpleNamespace, speed: SimpleNamespace
) -> None:
    """Else a faster server, and not a faster ORM or framework, might be what was measured."""
    own = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()[1:])
    for app in (*load.apps.PEERS, *speed.contestants.PEERS):
        versions = load.apps.pinned(app)
        if app.own_server:
            versions.pop("uvloop", None)  # Robyn asks for an older one
        assert {name: version for name, version in versions.items() if own.get(name, version) != version} == {}
        assert app.own_server or "uvicorn" in versions


@pytest.fixture
def speed(load: SimpleNamespace) -> SimpleNamespace:
    """The modules behind `make bench NAME=turbo`."""
    names = ("cases", "contestants", "judge", "many", "plot")
    return SimpleNamespace(**{name: importlib.import_module(f"speed.{name}") for name in names})


@pytest.fixture
def turbo(load: SimpleNamespace) -> ModuleType:
    return importlib.import_module("turbo")


def rates(load: SimpleNamespace, speed: SimpleNamespace, **given: float) -> dict[tuple[str, str, str], list[object]]:
    """Every app at 10 requests a second and those given at theirs, of three rounds the middle one; the faster an app, the
    lower its p99.
    """
    return {
        (row.name, kind, app.name): [
            load.wrk.Sample(1, given.get(app.name, 10) * factor, 1, 1000 / given.get(app.name, 10))
            for factor in (0.1, 1, 1.5)
        ]
        for row in speed.cases.ROWS
        for kind in ("full", "steady")
        for app in speed.contestants.in_row(row)
    }


QUICK: dict[str, float] = {"accelerated": 55, "leyden": 25, "raw_asgi": 61, "litestar": 54}


def test_every_row_is_compared_with_stock_and_those_of_the_table_with_everybody(
    load: SimpleNamespace, speed: SimpleNamespace
) -> None:
    figures = list(speed.judge.compared(rates(load, speed, **QUICK), speed.cases.ROWS))
    assert len(figures) == 4 * (1 + 1 + 4 + 1 + 1) + 5
    assert {figure.verdict for figure in figures if figure.target} == {"pass"}
    assert {figure.name for figure in figures if not figure.target} == {
        *(f"{name}_accelerated_to_fastapi" for name in ("cors", "sync", "yield", "oauth2", "form")),
        *(f"{name}_accelerated_to_raw_asgi" for name in ("chain", "post", "list")),
        "list_leyden_to_fastapi",
    }


@pytest.mark.parametrize(
    ("slower", "short"),
    [
        ({"accelerated": 54.5}, {"chain_accelerated_to_fastapi", "small_accelerated_to_raw_asgi"}),
        ({"leyden": 24.9}, {f"{row}_leyden_to_fastapi" for row in ("small", "chain", "post")}),
        ({"robyn": 55}, {f"{row}_accelerated_to_robyn" for row in ("small", "chain", "post", "list")}),
        ({"raw_asgi": 62}, {"small_accelerated_to_raw_asgi"}),
    ],
)
def test_a_row_that_is_too_slow_falls_short_where_it_is(
    load: SimpleNamespace, speed: SimpleNamespace, slower: dict[str, float], short: set[str]
) -> None:
    figures = speed.judge.compared(rates(load, speed, **{**QUICK, **slower}), speed.cases.ROWS)
    assert {figure.name for figure in figures if figure.verdict == "short"} == short


def test_a_late_answer_under_a_steady_load_falls_short(load: SimpleNamespace, speed: SimpleNamespace) -> None:
    samples = rates(load, speed, **QUICK)
    samples["post", "steady", "accelerated"] = samples["post", "steady", "fastapi"]
    figures = speed.judge.compared(samples, speed.cases.ROWS)
    assert [figure.name for figure in figures if figure.verdict == "short"] == ["post_steady_p99_to_fastapi"]


def test_a_framework_that_could_not_be_started_is_missing_in_every_row(
    load: SimpleNamespace, speed: SimpleNamespace
) -> None:
    samples = {key: taken for key, taken in rates(load, speed, **QUICK).items() if key[2] != "robyn"}
    figures = speed.judge.compared(samples, speed.cases.ROWS)
    assert [figure.name for figure in figures if figure.verdict == "missing"] == [
        f"{row}_accelerated_to_robyn" for row in ("small", "chain", "post", "list")
    ]


@pytest.mark.parametrize(("dearest", "verdict"), [(5.2, "pass"), (5.3, "short")])
def test_a_cost_that_grows_with_the_routes_is_not_flat(speed: SimpleNamespace, dearest: float, verdict: str) -> None:
    costs = {1: {"fastapi": 50, "accelerated": 4.4}, 100: {"fastapi": 90, "accelerated": dearest}}
    costs[1_000] = {"fastapi": 400, "accelerated": 4.0}
    *_, flat = speed.judge.by_routes(costs)
    assert (flat.name, flat.verdict) == ("routes_largest_to_smallest", verdict)


def test_compiling_is_judged_a_route(speed: SimpleNamespace) -> None:
    quick, *memory = speed.judge.compiling(1_000, 0.9, {"fastapi": 1e6, "accelerated": 5e6})
    slow, *_ = speed.judge.compiling(1_000, 1.1, {})
    assert (quick.value, quick.verdict, slow.verdict) == (pytest.approx(0.9), "pass", "short")
    assert [figure.value for figure in memory] == [1.0, 5.0]


def test_a_request_is_sent_as_it_is_checked(speed: SimpleNamespace) -> None:
    request = speed.cases.Request("POST", "/a?b=1", {}, (("X-Client", "me"),), b"{}")
    assert request.wire == b"POST /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Client: me\r\nContent-Length: 2\r\n\r\n{}"
    row = speed.cases.Row("row", "a row", [request, request])
    assert row.wire == 2 * (request.wire + b"\0")


def answers(load: SimpleNamespace, found: Mapping[str, tuple[int, object]]) -> SimpleNamespace:
    """A server that says these things; what it would say over a socket is all that is missing."""
    return SimpleNamespace(app=load.apps.HANDBOOK, ask=lambda _method, path, *_rest: found[path])


def test_another_answer_is_wrong_and_so_is_one_to_what_should_be_refused(
    load: SimpleNamespace, speed: SimpleNamespace
) -> None:
    request = speed.cases.Request
    row = speed.cases.Row("row", "a row", [request("GET", "/1", {"a": 1})], [request("GET", "/x")])
    row.check(answers(load, {"/1": (200, {"a": 1}), "/x": (422, "no")}), validates=True)
    row.check(answers(load, {"/1": (200, {"a": 1}), "/x": (500, "what?")}), validates=False)
    for found in ({"/1": (200, {"a": "1"})}, {"/1": (201, {"a": 1})}, {"/1": (200, {"a": 1}), "/x": (200, {})}):
        with pytest.raises(load.servers.WrongError, match="handbook answered GET"):
            row.check(answers(load, found), validates=True)


def test_every_variety_of_a_row_has_an_answer_of_its_own(speed: SimpleNamespace) -> None:
    for row in (speed.cases.CHAIN, speed.cases.POST, speed.cases.SIGN_IN):
        assert len({json.dumps(request.answer) for request in row.requests}) == speed.cases.VARIETY
        assert len({request.wire for request in row.requests}) == speed.cases.VARIETY


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "complete"),
    [(HEAD + b"{}", True), (HEAD + b"{", False), (HEAD[:-2], False), (HEAD.lower() + b"{}", True), (b"", False)],
)
def test_an_answer_is_complete_when_it_is_as_long_as_it_says(
    load: SimpleNamespace, answer: bytes, *, complete: bool
) -> None:
    assert load.steady.complete(answer) is complete


def test_a_percentile_is_a_time_that_was_measured(load: SimpleNamespace) -> None:
    times = [float(number) for number in range(1, 201)]
    assert (load.steady.percentile(times, 0.5), load.steady.percentile(times, 0.99)) == (100.0, 198.0)
    assert load.steady.percentile([7.0], 0.99) == 7.0
    assert load.steady.percentile([], 0.99) == 0.0


def test_a_rate_that_was_not_held_is_an_error_and_no_figure(load: SimpleNamespace) -> None:
    sample = load.wrk.Sample(10, 98.0, 1, 1)
    assert load.steady.held("app", sample, 98.5) is sample
    with pytest.raises(load.servers.WrongError, match="98 requests a second, not 100"):
        load.steady.held("app", sample, 100)


def test_a_run_of_rows_leaves_out_the_routes_unless_they_are_asked_for(turbo: ModuleType) -> None:
    plan = turbo.planned(["--only", "small,accelerated"])
    assert ([row.name for row in plan.rows], [app.name for app in plan.apps]) == (["small"], ["accelerated"])
    assert (list(plan.parts), plan.whole) == (["full"], False)
    assert list(turbo.planned(["--only", "routes"]).parts) == ["routes"]
    whole = turbo.planned([])
    assert (len(whole.rows), len(whole.parts), whole.rounds, whole.whole) == (9, 3, 5, True)


async def test_an_app_of_many_routes_answers_for_each_of_them(speed: SimpleNamespace) -> None:
    app = speed.many.app_of(4)
    for number in range(4):
        await speed.many.ask(app, *speed.many.asked(number))
    with pytest.raises(SystemExit, match="/things4/7 answered 404"):
        await speed.many.ask(app, *speed.many.asked(4))


def test_the_picture_has_a_bar_for_each_app_and_says_what_was_not_measured(speed: SimpleNamespace) -> None:
    figures = [{"name": "small_accelerated_to_fastapi", "value": 3.9}, {"name": "small_robyn", "value": None}]
    figures += [{"name": f"small_{app}", "value": 10_000.0} for app in ("fastapi", "accelerated", "raw_asgi")]
    told = {
        "figures": figures,
        "versions": {"leyden": {"fastapi": "1", "uvicorn": "2"}},
        "machine": {"python": "3", "cpu": "<fast>"},
        "method": {"connections": 32},
    }
    picture = speed.plot.drawn(told)
    drawn = ET.fromstring(picture)  # noqa: S314 -- our own
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("10,000") == 3
    assert texts.count("not measured") == 4 * 8 - 3
    assert "Small JSON: 3.9x" in texts
