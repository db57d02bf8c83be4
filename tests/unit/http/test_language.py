import time

import pytest

from leyden.http.language import preferred


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN", "zh"),
        ("zh-Hans-CN, en;q=0.5", "zh"),
        ("zh_CN", "zh"),
        ("ZH", "zh"),
        ("fr, zh;q=0.4, en;q=0.8", "en"),
        ("fr;q=0.9, de", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("*", "en"),
        ("zh;q=nonsense", "en"),
        (";;;q=,,", "en"),
        ("zh" + ",x" * 10_000, "zh"),
        ("x," * 20 + "zh", "en"),
        ("zh-" + "a" * 33 + ", en;q=0.1", "en"),
        ("-zh, --, -", "en"),
    ],
)
def test_the_best_known_language_is_chosen(header: str | None, language: str) -> None:
    assert preferred(header, {"en", "zh"}, "en") == language


def test_a_region_with_its_own_catalogue_wins_over_the_language() -> None:
    assert preferred("zh-TW", {"en", "zh", "zh-tw"}, "en") == "zh-tw"


@pytest.mark.parametrize("header", ["a-" * 500_000, "en;q=" + "9" * 1_000_000, "-" * 1_000_000])
def test_a_long_header_takes_no_more_time_than_reading_it(header: str) -> None:
    begun = time.perf_counter()
    assert preferred(header, {"en", "zh"}, "en") == "en"
    assert time.perf_counter() - begun < 0.5
