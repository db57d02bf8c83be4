import sys
from pathlib import Path

import pytest

from leyden.core import ConfigurationError
from leyden.core.project import find_project


def test_the_nearest_pyproject_upward_names_the_app(project: Path) -> None:
    deeper = project / "notes"
    deeper.mkdir()

    found = find_project(deeper)

    assert found is not None
    assert found.root == project.parent
    assert found.app.title == "Shop"
    assert [battery.name for battery in found.batteries] == ["hello"]
    assert sys.path[0] == str(project.parent)


@pytest.mark.parametrize("text", ["", "[tool]\nfastapi = 1\n", "[tool.fastapi]\n", "tool = 3\n"])
def test_a_pyproject_without_an_entrypoint_is_no_project(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)

    assert find_project(tmp_path) is None


@pytest.mark.parametrize("text", ["[tool", "[tool.fastapi]\nentrypoint = 3\n"])
def test_a_broken_pyproject_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)

    with pytest.raises(ConfigurationError, match=r"pyproject\.toml"):
        find_project(tmp_path)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("app = 1\n", "has no FastAPI application named 'app'"),
        ("def app(:\n", r"SyntaxError: .+ \(app_\d+/main\.py:1\)"),
        ("raise RuntimeError('no')\n", r"RuntimeError: no \(app_\d+/main\.py:1\)"),
        ("import sys\nsys.exit(4)\n", r"could not be imported: SystemExit: 4 \(app_\d+/main\.py:2\)"),
        ("raise SystemExit\n", r"could not be imported: SystemExit \(app_\d+/main\.py:1\)"),
        ("exit('No key.')\n", r"SystemExit: No key\. \(app_\d+/main\.py:1\)"),
        ("from leyden.core import ConfigurationError\nraise ConfigurationError('Just this.')\n", "^Just this.$"),
    ],
)
def test_an_app_that_cannot_be_had_is_a_sentence(project: Path, source: str, sentence: str) -> None:
    (project / "main.py").write_text(source)
    found = find_project(project)
    assert found is not None

    with pytest.raises(ConfigurationError, match=sentence):
        _ = found.app


async def test_a_project_runs_its_batteries_without_serving(project: Path) -> None:
    found = find_project(project)
    assert found is not None

    async with found.running() as resources:
        assert "Clock" in repr(resources)
