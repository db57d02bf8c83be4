"""What is there when an app has started is left to the app's end by the garbage collector."""

import gc

import pytest
from starlette.testclient import TestClient

from leyden import create_app
from leyden.core.garbage import set_aside


def test_a_collection_looks_at_what_came_since() -> None:
    old = [object()]
    with set_aside():
        assert not any(found is old for found in gc.get_objects())
        new = [object()]
        assert any(found is new for found in gc.get_objects())
    assert any(found is old for found in gc.get_objects())


def test_an_app_sets_aside_while_it_serves() -> None:
    with TestClient(create_app([])):
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() < 1000


def test_who_is_interrupted_gives_back_as_well() -> None:
    with pytest.raises(KeyboardInterrupt), set_aside():
        raise KeyboardInterrupt
    assert gc.get_freeze_count() < 1000


def test_of_two_apps_the_last_to_stop_gives_back() -> None:
    first, second = TestClient(create_app([])), TestClient(create_app([]))
    first.__enter__()
    with second:
        first.__exit__()
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() < 1000


def test_what_somebody_else_has_set_aside_is_left_to_them() -> None:
    gc.freeze()
    try:
        with set_aside():
            new = [object()]
            assert any(found is new for found in gc.get_objects())
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
