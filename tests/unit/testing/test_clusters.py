"""A PostgreSQL server of a test's own."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from leyden.testing.clusters import PostgreSQLCluster
from leyden.testing.services import Unavailable, skip_or_fail


async def ask(cluster: PostgreSQLCluster, question: str) -> object:
    engine = create_async_engine(cluster.url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(question))
            return result.scalar() if result.returns_rows else None
    finally:
        await engine.dispose()


def test_it_answers_is_restarted_and_copied_and_leaves_nothing() -> None:
    try:
        cluster = PostgreSQLCluster(max_connections="20")
    except Unavailable as reason:
        skip_or_fail(str(reason))
    with cluster:
        assert asyncio.run(ask(cluster, "SHOW max_connections")) == "20"
        cluster.restart("immediate")
        with cluster.copy() as standby:
            assert asyncio.run(ask(standby, "SELECT pg_is_in_recovery()")) is True
        assert asyncio.run(ask(cluster, "SELECT pg_is_in_recovery()")) is False
    assert not cluster.ready()
    assert not cluster.folder.exists()
