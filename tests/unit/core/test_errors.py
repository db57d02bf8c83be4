"""Errors carry a status, a code and a message that says what to do."""

import inspect
import pickle

import pytest

from leyden import core
from leyden.core import FieldError, LeydenError, NotFoundError, OverloadedError, ResourceMissingError


class PriceError(LeydenError):
    """{item} costs {price} now. Look at the new price and order again."""

    status = 409
    code = "price"


class BareError(NotFoundError):
    code = "bare"


def test_the_docstring_is_the_default_message() -> None:
    error = PriceError(item="Tea", price=3)
    assert str(error) == error.detail == "Tea costs 3 now. Look at the new price and order again."
    assert error.params == {"item": "Tea", "price": 3}
    assert error.translatable


def test_a_message_of_its_own_is_not_translated() -> None:
    error = PriceError("Sold out.")
    assert error.detail == "Sold out."
    assert not error.translatable


def test_a_message_with_braces_is_left_alone() -> None:
    assert LeydenError("use {name}").detail == "use {name}"


def test_an_error_without_a_docstring_says_what_its_parent_says() -> None:
    assert BareError().detail == NotFoundError().detail


def test_fields_and_headers_travel_with_the_error() -> None:
    field = FieldError("body.email", "taken", "This address is taken.")
    error = LeydenError(fields=[field], headers={"X-Why": "because"})
    assert error.fields == (field,)
    assert error.headers == {"X-Why": "because"}


def test_an_overloaded_service_says_when_to_come_back() -> None:
    assert OverloadedError().headers == {"Retry-After": "1"}
    assert OverloadedError(retry_after=30).headers == {"Retry-After": "30"}


def test_an_error_survives_the_way_out_of_another_process() -> None:
    error = pickle.loads(pickle.dumps(ResourceMissingError(kind="Cache")))  # noqa: S301 -- our own bytes
    assert isinstance(error, ResourceMissingError)
    assert "Cache" in str(error)
    assert error.params == {"kind": "Cache"}


ERRORS = [kind for kind in vars(core).values() if inspect.isclass(kind) and issubclass(kind, LeydenError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_the_tree_at_the_top_of_the_file_shows_every_error(kind: type[LeydenError]) -> None:
    tree = inspect.getsource(inspect.getmodule(LeydenError) or core).split('"""')[1]
    (line,) = [line for line in tree.splitlines() if kind.__name__ in line.split()[:3]]
    assert str(kind.status) in line.split()
    assert kind.code in line.split()


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in ERRORS]
    assert len(set(codes)) == len(codes)


def test_braces_in_a_docstring_are_only_filled_where_there_is_something_to_fill_them() -> None:
    class TemplateError(LeydenError):
        """Write {{name}} or {name}."""

    assert TemplateError().detail == "Write {{name}} or {name}."
    assert TemplateError(name="x").detail == "Write {name} or x."
