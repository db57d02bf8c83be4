"""What SQLAlchemy's pools have to tell is SQLAlchemy's, and not in the log of an app that asked for Leyden's."""

import logging
from pathlib import Path

import pytest

from leyden.data import Database, DataSettings


async def test_connections_come_and_go_without_a_word(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO, "leyden")
    database = Database(DataSettings(url=f"sqlite:///{tmp_path}/app.db"))
    async with database, database.session() as session:
        await session.connection()
    assert caplog.messages == []
