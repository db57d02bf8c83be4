"""The texts of problems in every language there is a catalogue for."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leyden.core.errors import ConfigurationError
from leyden.http.language import preferred

SHIPPED = Path(__file__).parent / "locales"


@dataclass(frozen=True, slots=True)
class Words:
    """One language: sentences by error code, field messages by error type, titles by status code name.

    Every method gives the English of the code back where the language lacks the text.
    """

    language: str
    sentences: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def title(self, code: str, english: str) -> str:
        return self.titles.get(code, english)

    def sentence(self, code: str, english: str, values: Mapping[str, Any] | None = None) -> str:
        return _fill(self.sentences.get(code), values, english)

    def field(self, code: str, english: str, values: Mapping[str, Any] | None = None) -> str:
        return _fill(self.fields.get(code) or self.sentences.get(code), values, english)


class Catalogues:
    """Reads `<language>.toml` files from folders; a later folder overrides an earlier one."""

    def __init__(self, default: str, folders: Iterable[Path] = ()) -> None:
        self._default = default.lower()
        self._own = tuple(folders)
        self._words = {"en": Words("en")}
        self._read((SHIPPED, *self._own))
        if self._default not in self._words:
            raise ConfigurationError(
                f"There is no catalogue for the language '{default}'. "
                f"Known are {', '.join(sorted(self._words))}; add a folder with {default}.toml to http.locales."
            )

    def learn(self, folders: Iterable[Path]) -> None:
        """Add the catalogues of other batteries, under those that the settings name."""
        self._read((*folders, *self._own))

    def words(self, accept_language: str | None) -> Words:
        """The best language for this Accept-Language header."""
        return self._words[preferred(accept_language, self._words, self._default)]

    def _read(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise ConfigurationError(f"{folder} is no folder of catalogues. Make it, or correct http.locales.")
            for file in sorted(folder.glob("*.toml")):
                language = file.stem.lower()
                words = self._words.setdefault(language, Words(language))
                _merge(words, file)


def _merge(words: Words, file: Path) -> None:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"The catalogue {file} is no valid TOML: {error}.") from None
    words.fields.update(content.pop("fields", {}))
    words.titles.update(content.pop("titles", {}))
    words.sentences.update(content)


def _fill(template: str | None, values: Mapping[str, Any] | None, english: str) -> str:
    if template is None:
        return english
    try:
        return template.format_map(values or {})
    except (KeyError, IndexError, ValueError, AttributeError):  # a text for other values than these
        return english
