"""Revision files: what they are called and what is in them."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from leyden.data.errors import MigrationError
from leyden.data.library import quoted
from leyden.data.schema import IMPORTS, Change

_BODY = '''"""{title}."""

{imports}

revision, down_revision = "{revision}", {down}


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''


@dataclass(frozen=True, slots=True)
class Draft:
    """A revision that is not written yet; `name` is its file's, behind the number that sorts it."""

    revision: str
    name: str
    source: str

    @classmethod
    def of(cls, change: Change | None, message: str | None, *, number: int, down: str | None) -> Self:
        """The revision of a change, or an empty one to fill in."""
        title = (message or (change.title if change else "Change by hand")).strip().rstrip(".")
        title = title[:1].upper() + title[1:]
        revision = f"{number:04d}_{secrets.token_hex(3)}"  # two people may each make number 7 today
        source = _BODY.format(
            title=title.replace("\\", "\\\\").replace('"""', "'''"),
            imports="\n".join(sorted(change.imports if change else IMPORTS, key=_place)),
            revision=revision,
            down=quoted(down),
            upgrade=change.upgrade if change else "    pass",
            downgrade=change.downgrade if change else "    pass",
        )
        return cls(revision, f"{revision}_{_slug(title)}", source)


def write(folder: Path, drafts: Sequence[Draft], *, already: int) -> list[Path]:
    """Write all of them or none. `already` is how many revisions the folder has."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for number, draft in enumerate(drafts, start=already + 1):
            numbered = draft.name if draft.name.startswith(f"{number:04d}_") else f"{number:04d}_{draft.name}"
            path = folder / f"{numbered}.py"
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(draft.source)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise MigrationError(f"The migration could not be written to {folder}: {error.strerror}.") from error
    return written


def _slug(title: str) -> str:
    return re.sub(r"\W+", "_", title.lower()).strip("_")[:40] or "change"


def _place(line: str) -> tuple[bool, str]:
    return (line.startswith("from "), line)
