import stat
from pathlib import Path

import pytest

from leyden.scaffold import DATABASES, ScaffoldError, projects, write_feature, write_project

FEATURE_FILES = {"__init__.py", "models.py", "routes.py", "schemas.py", "wiring.py"}


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("database", DATABASES)
def test_an_app_has_the_files_of_the_house(tmp_path: Path, database: str) -> None:
    target = write_project("my-shop", database, tmp_path)

    files = everything(target)
    assert target == tmp_path / "my-shop"
    assert {name.removeprefix("my_shop/notes/") for name in files if name.startswith("my_shop/notes/")} == FEATURE_FILES
    assert files >= {"pyproject.toml", "README.md", ".gitignore", ".env.example", "config.toml", "my_shop/app.py"}
    assert files >= {
        "my_shop/settings.py",
        "migrations/0001_auth_accounts.py",
        "tests/conftest.py",
        "tests/test_notes.py",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["my-shop"]
    assert not any("__" in name.replace("__init__", "") or "{{" in name for name in files)
    assert stat.S_IMODE(target.stat().st_mode) & 0o055 == 0o055


def test_a_database_server_is_in_the_settings_and_its_driver_in_the_dependencies(tmp_path: Path) -> None:
    target = write_project("shop", "postgresql", tmp_path)

    assert 'url="postgresql://localhost/shop"' in (target / "shop" / "settings.py").read_text()
    assert 'dependencies = ["leyden[postgres]"]' in (target / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("database", "extras"), [("sqlite", "testing"), ("postgresql", "postgres,testing"), ("mysql", "mysql,testing")]
)
def test_the_readme_installs_leyden_from_its_checkout_and_from_nowhere_else(
    tmp_path: Path, database: str, extras: str
) -> None:
    readme = (write_project("shop", database, tmp_path) / "README.md").read_text()

    assert [line for line in readme.splitlines() if "pip install" in line] == [
        f'Elsewhere, install Leyden from its checkout first: `pip install "./leyden[{extras}]"`.'
    ]
    assert "\n    leyden run\n" in readme
    assert "\n\n\n" not in readme


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_is_not_touched(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "shop")

    with pytest.raises(ScaffoldError, match="already"):
        write_project("shop", "sqlite", tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_an_app_called_like_its_first_feature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="notes"):
        write_project("notes", "sqlite", tmp_path)


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projects, "_move", full)

    with pytest.raises(ScaffoldError, match="No space left on device"):
        write_project("shop", "sqlite", tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="could not be written"):
        write_project("shop", "sqlite", tmp_path / "nowhere")


def test_a_feature_is_written_listed_and_at_the_end_of_the_history(tmp_path: Path) -> None:
    root = write_project("shop", "sqlite", tmp_path)
    notes = next((root / "migrations").glob("0002_*.py")).read_text()

    feature = write_feature("videos", root, "shop.app:app")

    assert feature.wired
    assert "videos.battery()" in (root / "shop" / "app.py").read_text()
    assert {path.name for path in (root / "shop" / "videos").iterdir()} == FEATURE_FILES
    migration = next((root / "migrations").glob("0003_*_videos.py")).read_text()
    before = notes.partition('revision, down_revision = "')[2].partition('"')[0]
    assert f'", "{before}"' in migration
    assert not list(root.glob(".new-*"))


def test_a_feature_of_an_app_without_migrations_begins_the_history(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "app.py").write_text("app = None\n")

    feature = write_feature("videos", tmp_path, "shop.app:app")

    assert not feature.wired
    assert "down_revision = " in next((tmp_path / "migrations").glob("0001_*.py")).read_text()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: (root / "shop" / "videos").mkdir(), "already"),
        (lambda root: (root / "shop" / "videos.py").touch(), "already"),
        (lambda root: (root / "shop" / "app.py").unlink(), "no project"),
        (
            lambda root: (root / "migrations" / "0003.py").write_text("revision, down_revision = 'x', 'auth_0001'\n"),
            "several ends",
        ),
        (lambda root: (root / "migrations" / "0003.py").write_text("revision = (\n"), "cannot be read"),
        (lambda root: (root / "migrations" / "0003.py").write_text("x = 1\n"), "cannot be read"),
        (lambda root: (root / "tests" / "test_videos.py").touch(), "exists"),
        (lambda root: (root / "shop" / "app.py").write_text("\napp = (\n"), r"never closed \(shop/app\.py:2\)"),
        (lambda root: (root / "shop" / "app.py").write_text("return\n"), r"shop/app\.py:1"),
        (lambda root: (root / "shop" / "app.py").write_bytes(b"# \xff\n"), r"shop/app\.py is no UTF-8"),
        (lambda root: (root / "shop" / "app.py").write_bytes(b"\0"), r"shop/app\.py"),
    ],
)
def test_a_feature_that_cannot_be_made_leaves_the_app_as_it_was(tmp_path: Path, spoil: object, reason: str) -> None:
    root = write_project("shop", "sqlite", tmp_path)
    assert callable(spoil)
    spoil(root)
    before = {name: (root / name).read_bytes() for name in everything(root)}

    with pytest.raises(ScaffoldError, match=reason):
        write_feature("videos", root, "shop.app:app")

    assert {name: (root / name).read_bytes() for name in everything(root)} == before
