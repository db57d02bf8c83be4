import ast

import pytest

from leyden.scaffold.lists import with_battery

GENERATED = '''"""Grüße."""

from leyden import create_app, data

from shop import notes
from shop.settings import Settings

settings = Settings()
app = create_app(
    [
        data.battery(settings.data),
        notes.battery(),  # the first
    ],
    title="Läden",
)
'''


def test_a_battery_is_added_at_the_end_and_imported_in_order() -> None:
    found = with_battery(GENERATED, "shop", "cats")

    assert found == GENERATED.replace("import notes", "import cats, notes").replace(
        "notes.battery(),  # the first", "notes.battery(),\n        cats.battery(),  # the first"
    )


def test_a_list_on_one_line_stays_on_one_line() -> None:
    source = "from leyden import create_app\nfrom shop import notes\n\napp = create_app([notes.battery()])\n"

    assert with_battery(source, "shop", "videos") == (
        "from leyden import create_app\nfrom shop import notes, videos\n\napp = create_app([notes.battery(), videos.battery()])\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        "from shop import notes\napp = create_app(batteries)\n",
        "from shop import notes\napp = create_app([])\n",
        "app = create_app([notes.battery()])\n",
        "from shop import (\n    notes,\n)\napp = create_app([notes.battery()])\n",
    ],
)
def test_what_is_written_in_another_way_is_left_alone(source: str) -> None:
    assert with_battery(source, "shop", "videos") is None


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_result_is_still_python(ending: str) -> None:
    found = with_battery(GENERATED.replace("\n", ending), "shop", "videos")

    assert found is not None
    assert "videos.battery()" in ast.unparse(ast.parse(found))
