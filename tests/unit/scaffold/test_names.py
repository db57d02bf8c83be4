import keyword

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from leyden.scaffold.errors import ScaffoldError
from leyden.scaffold.names import item_of, model_of, package_of, refuse_feature


@pytest.mark.parametrize(("name", "package"), [("shop", "shop"), ("my-shop", "my_shop"), ("shop2", "shop2")])
def test_an_app_gives_its_package_a_name_python_takes(name: str, package: str) -> None:
    assert package_of(name) == package


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("feature", "makes one"),
        ("Shop", "small letters"),
        ("2shop", "begins with a letter"),
        ("shop-", "small letters"),
        ("../shop", "small letters"),
        ("/tmp/shop", "small letters"),  # noqa: S108 -- a name, not a place
        ("sh op", "small letters"),
        ("läden", "small letters"),
        ("shop\n", "small letters"),
        ("", "small letters"),
        ("class", "my_class"),
        ("tests", "my_tests"),
        ("json", "already"),
        ("leyden", "already"),
        ("fastapi", "already"),
        ("a" * 29, "longer than 28"),
    ],
)
def test_a_name_that_cannot_be_an_app_is_a_sentence(name: str, reason: str) -> None:
    with pytest.raises(ScaffoldError, match=reason):
        package_of(name)


@pytest.mark.parametrize(
    "name", ["Videos", "my-videos", "import", "auth", "data", "users", "texts", "models", "nones", "pages", "x.y"]
)
def test_a_name_that_cannot_be_a_feature_is_a_sentence(name: str) -> None:
    with pytest.raises(ScaffoldError, match=r"cannot be"):
        refuse_feature(name)


@pytest.mark.parametrize(
    ("feature", "model", "item"),
    [
        ("notes", "Note", "note"),
        ("blog_posts", "BlogPost", "blog_post"),
        ("categories", "Category", "category"),
        ("boxes", "Box", "box"),
        ("addresses", "Address", "address"),
        ("news", "New", "item"),
        ("stock", "Stock", "item"),
        ("lists", "List", "item"),
        ("sessions", "Session", "item"),
        ("classes", "Class", "item"),
    ],
)
def test_a_row_is_called_after_the_feature(feature: str, model: str, item: str) -> None:
    assert (model_of(feature), item_of(feature)) == (model, item)


@given(st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,6}){0,2}", fullmatch=True))
def test_whatever_feature_is_taken_has_names_python_takes(name: str) -> None:
    try:
        refuse_feature(name)
    except ScaffoldError:
        assume(False)

    for found in (name, model_of(name), item_of(name)):
        assert found.isidentifier()
        assert not keyword.iskeyword(found)
