"""A new feature in an app: its folder, its tests, its migration, and its place in the list of batteries."""

import ast
import os
import secrets
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from leyden.scaffold.errors import ScaffoldError
from leyden.scaffold.lists import bound_names, with_battery
from leyden.scaffold.names import heading_of, item_of, model_of, refuse_feature
from leyden.scaffold.render import write


@dataclass(frozen=True, slots=True)
class Feature:
    """What was written, relative to the project; `wired` says whether app.py lists it now."""

    name: str
    files: tuple[Path, ...]
    wired: bool


def write_feature(name: str, root: Path, entrypoint: str) -> Feature:
    """Add the feature `name` to the project at `root`. Raises ScaffoldError, having written nothing."""
    refuse_feature(name)
    app = root / (entrypoint.partition(":")[0].replace(".", "/") + ".py")
    package = app.parent.name
    if not (app.is_file() and app.parent.parent == root):
        raise ScaffoldError(
            f"There is no {app.relative_to(root)}, so this is no project that `leyden new` could have made."
        )
    if (app.parent / name).exists() or (app.parent / f"{name}.py").exists():
        raise ScaffoldError(f"There is something called '{name}' in {package} already. Choose another name.")
    source = _source(app, root)
    if name in bound_names(source):
        raise ScaffoldError(
            f"A feature cannot be called '{name}': {app.relative_to(root)} has that name for something else. "
            f"Choose another, like 'my_{name}'."
        )
    number, down = _end_of_history(root / "migrations")
    values = feature_values(package, name, number=number, down=down)
    listed = with_battery(source, package, name)
    try:
        files = _write(root, app, values, listed)
    except OSError as error:
        raise ScaffoldError(f"The feature could not be written: {error.strerror or error}.") from error
    return Feature(name, tuple(files), wired=listed is not None)


def _source(app: Path, root: Path) -> str:
    """The text of app.py, which must be Python: its list of batteries is about to grow."""
    place = app.relative_to(root)
    try:
        source = app.read_text(encoding="utf-8")
        compile(source, str(place), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise ScaffoldError(f"The app cannot be read: {error.msg} ({place}{line}). Mend it first.") from error
    except (OSError, ValueError) as error:  # ValueError: not UTF-8
        raise ScaffoldError(f"The app cannot be read: {place} is no UTF-8 text that this account may read.") from error
    return source


def feature_values(package: str, feature: str, *, number: int, down: str | None) -> dict[str, str]:
    """What the templates of a feature ask for."""
    revision = f"{number:04d}_{secrets.token_hex(3)}"  # two people may each add a feature today
    return {
        "package": package,
        "feature": feature,
        "model": model_of(feature),
        "item": item_of(feature),
        "heading": heading_of(feature),
        "revision": revision,
        "down": "None" if down is None else f'"{down}"',
        "file": f"{revision}_{feature}",
    }


def _write(root: Path, app: Path, values: dict[str, str], listed: str | None) -> list[Path]:
    """Render aside, then move file by file; what was moved is taken back when one cannot be."""
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as made, ExitStack() as undo:
        files = write("feature", Path(made), values)
        for path in files:
            _move(Path(made) / path, root / path, undo)
        if listed is not None:
            aside = Path(made) / "app.py"
            aside.write_text(listed, encoding="utf-8")
            aside.chmod(app.stat().st_mode)
            aside.replace(app)
        undo.pop_all()
    return files


def _move(source: Path, target: Path, undo: ExitStack) -> None:
    for folder in reversed([folder for folder in target.parents if not folder.exists()]):
        folder.mkdir()
        undo.callback(folder.rmdir)
    os.link(source, target)  # unlike a rename, it fails where a file has appeared meanwhile
    undo.callback(target.unlink)


def _end_of_history(folder: Path) -> tuple[int, str | None]:
    """The number of the next migration, and the revision it comes after."""
    revisions = dict(_revision(path) for path in sorted(folder.glob("*.py")) if path.name != "__init__.py")
    followed = set(revisions.values())
    heads = [revision for revision in revisions if revision not in followed]
    if len(heads) > 1:
        raise ScaffoldError(
            f"The migrations have several ends: {', '.join(heads)}. Make them one line first: leyden db heads."
        )
    return len(revisions) + 1, heads[0] if heads else None


def _revision(path: Path) -> tuple[str, str | None]:
    """What a migration calls itself, and the one before; read, not run."""
    found: dict[str, object] = {}
    try:
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                found |= _constants(statement)
        return str(found["revision"]), found["down_revision"]  # type: ignore[return-value]  # texts, or the next line
    except (SyntaxError, ValueError, KeyError) as error:
        raise ScaffoldError(f"The migration {path.name} cannot be read. Mend it first: leyden db history.") from error


def _constants(statement: ast.Assign | ast.AnnAssign) -> dict[str, object]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [name.id for name in ast.walk(targets[0]) if isinstance(name, ast.Name)]
    if not {"revision", "down_revision"} & set(names):
        return {}
    value = ast.literal_eval(statement.value or ast.Constant(None))
    return dict(zip(names, value, strict=True)) if isinstance(targets[0], ast.Tuple) else {names[0]: value}
