import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from leyden.data import uuid7
from leyden.data.identifiers import _Sequence


def test_identifiers_rise_and_say_when_they_were_made() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(10_000)]
    after = time.time_ns() // 1_000_000
    assert all(earlier < later for earlier, later in pairwise(made))
    assert {found.version for found in made} == {7}
    assert {found.variant for found in made} == {"specified in RFC 4122"}
    assert before <= made[0].int >> 80 <= made[-1].int >> 80 <= after + 1


def test_threads_never_get_the_same_one() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: uuid7(), range(8_000)))
    assert len(set(made)) == 8_000


def test_a_clock_set_back_and_a_full_counter_do_not_stop_the_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([1000, 999, 998, 998, 1001])
    monkeypatch.setattr("leyden.data.identifiers.time.time_ns", lambda: next(moments) * 1_000_000)
    sequence = _Sequence()
    made = [sequence.next(), sequence.next()]
    sequence._counter = (1 << 42) - 1
    made += [sequence.next(), sequence.next(), sequence.next()]
    assert all(earlier < later for earlier, later in pairwise(made))
    assert [found.version for found in made] == [7] * 5
