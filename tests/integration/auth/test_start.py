"""An app with accounts starts only when its own migrations call those of the battery (data.E006)."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from leyden.core import StartError
from leyden.testing import client

if TYPE_CHECKING:
    from tests.integration.auth.conftest import MakeApp

OWN = 'revision, down_revision = "one", None\ndef upgrade(): ...\ndef downgrade(): ...\n'


@pytest.mark.parametrize("own", [{}, {"one.py": OWN}])
async def test_migrations_that_never_call_those_of_accounts_stop_the_start_with_what_to_run(
    make_app: "MakeApp", tmp_path: Path, own: dict[str, str]
) -> None:
    (tmp_path / "migrations").mkdir()
    for name, text in own.items():
        (tmp_path / "migrations" / name).write_text(text)
    with pytest.raises(StartError, match=r"data\.E006.*auth_0001.*Run `leyden db make`, then `leyden db upgrade`"):
        async with client(make_app()):
            pass
