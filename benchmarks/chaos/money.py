"""Cell 15: many clients send money to and fro among few accounts, on Tube with each database, while its workers, and on
PostgreSQL the server too, are ended and come back; then what clients were told is compared with what is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from chaos import held, storm, tube
from chaos.clients import Orders
from chaos.deadlocks import Deadlocks, counted_by_mariadb, logged
from chaos.faults import Fault, killed_workers, restarted_server
from chaos.judge import SOME, Held, Told, judge
from chaos.ledger import Unjudged
from chaos.plan import Plan
from load.figures import Figure, Target

from leyden.testing.clusters import PostgreSQLCluster
from leyden.testing.live_server import ServerFailedError
from leyden.testing.services import Unavailable, fresh_database

KINDS = ("sqlite", "postgresql", "mariadb")
EVERY = 12.0
"""Seconds between restarts of the PostgreSQL server: most of the time there must be something to measure."""


def figures(kind: str, plan: Plan) -> Iterator[Figure]:
    """Raises Unjudged."""
    try:
        told, found, deadlocks = _campaign(kind, plan)
    except (ServerFailedError, Unavailable) as error:
        raise Unjudged(str(error)) from error
    yield Figure("kills", len(told.kills), "times", SOME)
    if kind == "postgresql":
        yield Figure("restarts", len(told.outages), "times", SOME)
    yield from judge(told, found)
    if deadlocks.found is not None:
        share = 100 * deadlocks.found / told.count("acknowledged")
        yield Figure("deadlocked", share, "%", Target("<", 1))


def _campaign(kind: str, plan: Plan) -> tuple[Told, Held, Deadlocks]:
    folder = plan.room(kind)
    ledger = folder / "clients.jsonl"
    with _database(kind, plan) as (url, faults, deadlocks):
        env = tube.environment(url)
        with tube.served(env) as server:
            try:
                accounts = tube.funded(server.url, env, ledger, plan.seed)
                orders = Orders(server.url, str(ledger), accounts, plan.seconds, plan.seed, plan.clients, plan.pause)
                told = storm.rage(orders, [killed_workers(server), *faults], folder)
            finally:
                (folder / "server.log").write_text(server.log)
            server.stop()
        found = held.read(url, granted=tube.GRANTED)
    return told, found, deadlocks


@contextmanager
def _database(kind: str, plan: Plan) -> Iterator[tuple[str, list[Fault], Deadlocks]]:
    """A new one, and what can be broken of it: only a server of our own is restarted."""
    match kind:
        case "postgresql":
            with PostgreSQLCluster(fsync="on") as cluster, logged(cluster.folder / "log") as deadlocks:
                yield cluster.url, [restarted_server(cluster, every=min(EVERY, plan.seconds))], deadlocks
        case "mariadb":
            with fresh_database(kind, plan.folder / kind) as url, counted_by_mariadb(url) as deadlocks:
                yield url, [], deadlocks
        case _:
            with fresh_database(kind, plan.folder / kind) as url:
                yield url, [], Deadlocks()
