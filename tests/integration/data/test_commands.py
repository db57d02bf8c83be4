"""`leyden db` from the outside: what it prints and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.orm import Mapped, mapped_column

from leyden.cli.groups import Entry
from leyden.core import Battery, ConfigurationError, LeydenError
from leyden.data import Base, DataSettings, battery
from leyden.data import library as library_module

Db = Callable[..., tuple[int, str]]


class Gadget(Base):
    __tablename__ = "command_gadgets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@dataclass
class FakeProject:
    root: Path
    batteries: tuple[Battery, ...]
    development: bool = True


@pytest.fixture
def project(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProject:
    """One whose only model is Gadget, whatever other tests have added to Base."""

    class Alone(Base):
        __abstract__ = True

    metadata = type(Base.metadata)(naming_convention=Base.metadata.naming_convention)
    Base.metadata.tables["command_gadgets"].to_metadata(metadata)
    Alone.metadata = metadata
    monkeypatch.setattr(library_module, "Base", Alone)
    return FakeProject(tmp_path, (battery(DataSettings(url=database_url)),))


@pytest.fixture
def db(project: FakeProject, capsys: pytest.CaptureFixture[str]) -> Db:
    group = Entry("leyden.data.commands:commands", "", group=True).load()

    def run(*arguments: str) -> tuple[int, str]:
        code = group.main(list(arguments), prog_name="leyden db", standalone_mode=False, obj=project)
        said = capsys.readouterr()
        return code or 0, said.out + said.err

    return run


def test_a_database_goes_through_its_life(db: Db, project: FakeProject) -> None:
    assert db("history") == (0, "There are no migrations yet. Run leyden db make.\n")
    assert db("heads")[1] == "There are no migrations yet. Run leyden db make.\n"
    assert db("current")[1] == "No migration was ever applied to this database.\n"
    assert db("upgrade") == (0, "Nothing to apply: the database is up to date.\n")

    code, said = db("check")
    assert code == 1
    assert "The table command_gadgets is not in the database." in said
    code, said = db("make", "-m", "gadgets")
    (path,) = (project.root / "migrations").glob("*.py")
    assert (code, path.name[:5], path.name[11:]) == (0, "0001_", "_gadgets.py")
    assert f"wrote {path}" in said.replace("\n", " ").replace("  ", " ")

    code, said = db("check")
    assert code == 1
    assert "Run `leyden db upgrade`" in said
    assert "no" in db("history")[1].split()
    code, said = db("upgrade")
    assert (code, said.splitlines()) == (0, [f"applied {path.name[:11]} (gadgets)".replace("(g", "(G")])
    assert db("check") == (0, "The models, the migrations and the database agree.\n")
    assert db("make") == (0, "Nothing to make: the models and the database agree.\n")
    assert path.name[:11] in db("current")[1]
    assert path.name[:11] in db("heads")[1]
    assert "yes" in db("history")[1].split()

    assert db("downgrade", "-1")[1].startswith("took back")
    assert db("downgrade", "base") == (0, "Nothing to take back.\n")


def test_outside_development_nothing_is_taken_back_unless_it_is_meant(db: Db, project: FakeProject) -> None:
    db("make", "-m", "gadgets")
    db("upgrade")
    project.development = False
    for arguments in ((), ("-1",), ("base",)):
        code, said = db("downgrade", *arguments)
        assert code == 2
        assert said == (
            "Error: Taking migrations back drops tables with all that is in them. "
            "There is no terminal to ask at: outside development add --yes to `leyden db downgrade`.\n"
        )
    assert "yes" in db("history")[1].split(), "it is applied as before"
    assert db("downgrade", "base", "--yes")[1].startswith("took back")


def test_whoever_writes_checks_or_applies_a_risky_migration_is_told_and_not_refused(
    db: Db, project: FakeProject
) -> None:
    db("make", "-m", "gadgets")
    db("upgrade")
    db("make", "-m", "Less", "--empty")
    first, second = sorted((project.root / "migrations").glob("*.py"))
    second.write_text(second.read_text().replace("    pass", '    op.drop_column("command_gadgets", "name")', 1))

    told = f"careful {second.name[:11]}: Dropping command_gadgets.name: the running release still reads or writes it"
    assert told in db("check")[1]
    code, said = db("upgrade")
    assert (code, told in said, "applied" in said) == (0, True, True)
    code, said = db("check")
    assert (code, told in said) == (1, False), "nothing more to be said, but the model and the database differ"
    assert told in db("check", "--since", first.name[:11])[1]


def test_a_forked_history_ends_with_one_and_what_to_do(db: Db, project: FakeProject) -> None:
    folder = project.root / "migrations"
    folder.mkdir()
    for name, down in (("a", None), ("b", "a"), ("c", "a")):
        (folder / f"{name}.py").write_text(f"revision, down_revision = {name!r}, {down!r}\n")
    for command in ("heads", "check"):
        code, said = db(command)
        assert code == 1
        assert "set down_revision" in said
    for command in ("upgrade", "make"):
        with pytest.raises(LeydenError, match="The history has 2 ends"):
            db(command)


def test_a_broken_migration_is_a_sentence_for_every_command(db: Db, project: FakeProject) -> None:
    (project.root / "migrations").mkdir()
    (project.root / "migrations" / "a.py").write_text("def upgrade(:\n")
    for command in ("make", "upgrade", "downgrade", "history", "heads", "current", "check"):
        with pytest.raises(LeydenError, match=r"The migration a\.py cannot be read, line 1"):
            db(command)


def test_an_app_without_a_database_is_told_which_battery_to_add(db: Db, project: FakeProject) -> None:
    project.batteries = ()
    with pytest.raises(ConfigurationError, match=r"Add data\.battery\(settings\.data\)"):
        db("upgrade")
