import multiprocessing

import pytest

from leyden.cli.once import Once


@pytest.mark.parametrize("shared", [True, False])
def test_only_the_first_call_is_first(*, shared: bool) -> None:
    once = Once(shared=shared)

    assert not once.done
    assert [once.first() for _ in range(3)] == [True, False, False]
    assert once.done


def test_what_another_process_did_is_done() -> None:
    once = Once(shared=True)
    other = multiprocessing.get_context("spawn").Process(target=once.first)

    other.start()
    other.join(60)

    assert other.exitcode == 0
    assert not once.first()
