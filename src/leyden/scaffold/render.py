"""Folders of templates become folders of files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 -- Python and TOML, not HTML; every value is a checked name
)


def rendered(folder: str, values: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Path and text of every file of a template folder; `__name__` in a path is replaced by the value of that name."""
    for template in sorted((TEMPLATES / folder).rglob("*.jinja")):
        place = template.relative_to(TEMPLATES)
        yield _named(place.relative_to(folder), values), _environment.get_template(place.as_posix()).render(values)


def write(folder: str, into: Path, values: Mapping[str, str]) -> list[Path]:
    """Render a template folder into another one; the paths written, relative to it."""
    written = []
    for path, text in rendered(folder, values):
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _named(path: Path, values: Mapping[str, str]) -> Path:
    name = path.as_posix().removesuffix(".jinja")
    for key, value in values.items():
        name = name.replace(f"__{key}__", value)
    return Path(
        "/".join("." + part.removeprefix("dot_") if part.startswith("dot_") else part for part in name.split("/"))
    )
