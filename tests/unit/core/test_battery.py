"""The order of batteries is checked with a sentence that says what to move."""

import dataclasses

import pytest

from leyden import Battery
from leyden.core import BatteryOrderError, ConfigurationError, check_order

DATA = Battery(name="data")
AUTH = Battery(name="auth", requires=("data",))


def test_a_list_in_order_is_accepted() -> None:
    check_order([])
    check_order([DATA, AUTH])


def test_a_battery_before_what_it_needs_is_told_what_to_move() -> None:
    with pytest.raises(BatteryOrderError) as refused:
        check_order([AUTH, DATA])
    assert str(refused.value) == (
        "The battery 'auth' needs 'data' before it. Move 'data' above 'auth' in the list of batteries."
    )


def test_a_missing_battery_is_named_with_its_place() -> None:
    with pytest.raises(BatteryOrderError) as refused:
        check_order([AUTH])
    assert str(refused.value) == "The battery 'auth' needs 'data', which is not in the list. Add 'data' above 'auth'."


def test_a_battery_that_is_in_the_list_twice_is_refused() -> None:
    with pytest.raises(BatteryOrderError, match="'data' is in the list twice"):
        check_order([DATA, AUTH, Battery(name="data")])


def test_another_battery_of_the_same_name_serves_those_that_need_it() -> None:
    check_order([Battery(name="data", provides=int), AUTH])


def test_a_wrong_order_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError):
        check_order([AUTH])


def test_a_battery_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DATA.name = "other"  # type: ignore[misc]  # the mistake under test


def test_the_repr_of_a_battery_says_who_it_is_and_nothing_more() -> None:
    assert repr(AUTH) == "Battery(name='auth', requires=('data',), provides=None)"
