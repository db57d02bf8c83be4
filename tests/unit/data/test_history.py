from pathlib import Path

import pytest

from leyden.data.errors import MigrationError
from leyden.data.history import History


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def linked(revision: str, down: str | None) -> str:
    return f'"""About {revision}."""\nrevision, down_revision = {revision!r}, {down!r}\n'


def test_no_folder_is_a_history_that_has_not_begun(tmp_path: Path) -> None:
    history = History(tmp_path / "migrations")
    assert (len(history), history.heads, history.head(), history.line(), history.pending(())) == (0, (), None, [], [])


def test_revisions_are_read_in_each_way_of_writing_them_and_never_run(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        __init__="raise SystemExit",
        c=linked("c", "b") + "raise SystemExit\n",
        a='"""The first.\n\nIt was made by Alembic."""\nrevision: str = "a"\ndown_revision: str | None = None\nlabels = compute()\n',
        b="revision = 'b'\ndown_revision = ('a',)\n",
    )
    history = History(folder)
    assert [str(revision) for revision in history.line()] == ["a (The first)", "b (b)", "c (About c)"]
    assert history.head() == "c"
    assert [revision.id for revision in history.pending(["a"])] == ["b", "c"]
    assert history.pending(["c"]) == []


def test_branches_that_meet_again_are_one_history(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        a=linked("a", None),
        b=linked("b", "a"),
        c=linked("c", "a"),
        d="revision = 'd'\ndown_revision = ['b', 'c']",
    )
    history = History(folder)
    assert history.head() == "d"
    assert [revision.id for revision in history.pending(["b"])] == ["c", "d"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "revision = ("}, "The migration a.py cannot be read, line 1: '(' was never closed."),
        ({"a": "x = 1"}, "a.py is no migration"),
        ({"a": "revision = 'a'"}, "a.py is no migration"),
        ({"a": "revision = name()\ndown_revision = None"}, "a.py is no migration"),
        ({"a": linked("a", "gone")}, "a.py comes after the revision 'gone', which is not in"),
        (
            {"a": linked("x", None), "b": linked("x", None)},
            "The revision 'x' is in two files, a.py and b.py. Remove one.",
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_its_file(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(MigrationError) as refused:
        History(written(tmp_path, **files))
    assert said in str(refused.value)


def test_two_ends_are_refused_with_what_to_change(tmp_path: Path) -> None:
    history = History(written(tmp_path, a=linked("a", None), b=linked("b", "a"), c=linked("c", "a")))
    with pytest.raises(MigrationError, match=r"The history has 2 ends: b, c\. .*down_revision"):
        history.head()


def test_a_circle_is_refused(tmp_path: Path) -> None:
    history = History(written(tmp_path, a=linked("a", "b"), b=linked("b", "a")))
    with pytest.raises(MigrationError, match="circle"):
        history.line()
