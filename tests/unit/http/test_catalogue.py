import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_core._pydantic_core import list_all_errors

from leyden.core import errors as core_errors
from leyden.core.errors import ConfigurationError, LeydenError
from leyden.http import errors as http_errors
from leyden.http.catalogue import Catalogues
from leyden.http.statuses import all_statuses

ZH = Catalogues("en").words("zh")


def our_errors() -> Iterator[type[LeydenError]]:
    for module in (core_errors, http_errors):
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, LeydenError):
                yield thing


def holes(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_chinese_names_every_status() -> None:
    codes = {status.code for status in all_statuses()}
    assert codes - set(ZH.sentences) == set()
    assert codes == set(ZH.titles)


def test_chinese_has_a_sentence_for_every_error_of_core_and_http_and_fills_no_other_holes() -> None:
    for error in our_errors():
        assert error.code in ZH.sentences, error
        assert holes(ZH.sentences[error.code]) <= holes(error.message()), error


def test_chinese_has_a_message_for_every_error_of_pydantic_and_fills_no_other_holes() -> None:
    known = {error["type"]: error for error in list_all_errors()}
    assert set(known) == set(ZH.fields)
    for kind, error in known.items():
        assert holes(ZH.fields[kind]) <= holes(error["message_template_python"]), kind


def test_a_later_folder_overrides_and_adds_languages(tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_text('not_found = "Hier ist nichts."\n[titles]\nnot_found = "Nicht gefunden"\n')
    (tmp_path / "zh.toml").write_text('not_found = "没有"\n')
    catalogues = Catalogues("en", [tmp_path])
    assert catalogues.words("de-AT").sentence("not_found", "Nothing.") == "Hier ist nichts."
    assert catalogues.words("de").title("not_found", "Not found") == "Nicht gefunden"
    assert catalogues.words("zh").sentence("not_found", "Nothing.") == "没有"
    assert catalogues.words("zh").sentence("gone", "Gone.") == "此内容已不存在。"


def test_what_settings_name_stays_above_what_batteries_bring(tmp_path: Path) -> None:
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    for folder, text in ((own, "ours"), (theirs, "theirs")):
        folder.mkdir()
        (folder / "en.toml").write_text(f'taken = "{text}"\n')
    (theirs / "zh.toml").write_text('taken = "已被使用"\n')
    catalogues = Catalogues("en", [own])
    catalogues.learn([theirs])
    assert catalogues.words("en").sentence("taken", "") == "ours"
    assert catalogues.words("zh").field("taken", "") == "已被使用"


def test_a_text_with_a_hole_nothing_fills_falls_back_to_english(tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_text('full = "Nur {free} frei"\nbroken = "{"\n')
    words = Catalogues("de", [tmp_path]).words(None)
    assert words.sentence("full", "It is full.", {"free": 3}) == "Nur 3 frei"
    assert words.sentence("full", "It is full.") == "It is full."
    assert words.sentence("broken", "It is broken.") == "It is broken."


@pytest.mark.parametrize(("name", "content"), [("de.toml", "no toml"), ("en.toml", "a = ")])
def test_a_catalogue_that_is_no_toml_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError, match=f"{name} is no valid TOML"):
        Catalogues("en", [tmp_path])


def test_a_missing_folder_and_an_unknown_language_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no folder of catalogues"):
        Catalogues("en", [tmp_path / "missing"])
    with pytest.raises(ConfigurationError, match=r"no catalogue for the language 'xx'. Known are en, zh"):
        Catalogues("xx")
