from pathlib import Path

import pytest

from leyden.cli.migrating import apply_migrations
from leyden.core.project import Project

APP = """
from pathlib import Path

from leyden import create_app
from leyden.data import DataSettings, battery

HERE = Path(__file__).parent
app = create_app([battery(DataSettings(url=f"sqlite:///{HERE}/var/shop.db", migrations=HERE / "migrations"))])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An app with a database and no migrations."""
    (tmp_path / "plain_shop.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    return Project(tmp_path, "plain_shop:app")


async def test_the_file_of_a_database_without_migrations_is_made(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    await apply_migrations(project)

    assert (project.root / "var" / "shop.db").is_file()
    assert capsys.readouterr().out == ""
    async with project.running():
        pass
