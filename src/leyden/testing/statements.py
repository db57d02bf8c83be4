"""What a piece of code asks the database: a row too many shows as a query for each row."""

from collections.abc import Iterator
from contextlib import contextmanager

from leyden.data import Database, QueryRan


@contextmanager
def queries(database: Database) -> Iterator[list[QueryRan]]:
    """Every statement that runs on this database inside, whoever runs it: sessions and prepared statements alike.

    `with queries(database) as ran: ...; assert len(ran) == 2` keeps an endpoint from asking once a row.
    """
    ran: list[QueryRan] = []
    stop = database.events.listen(QueryRan, ran.append)
    try:
        yield ran
    finally:
        stop()
