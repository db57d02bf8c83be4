"""Promise 42: two releases serve side by side, under load, while the database is upgraded and downgraded under them.

Three releases of one small app share a database. The second adds what the third uses; the third drops what the second
has stopped using. So no release needs what its own migration changes, and either of two neighbours runs on either schema.
"""

import asyncio
import os
import re
import subprocess
import sysconfig
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

import httpx2
import pytest

from leyden.testing import LiveServer
from leyden.testing.services import DATABASES, Unavailable, fresh_database, skip_or_fail

LEYDEN = Path(sysconfig.get_path("scripts"), "leyden")
CLIENTS = 3
NO_ANSWER = 599
PAUSE = 0.05  # seconds between two requests of a client: a load, and no flood

PROJECT = '[project]\nname = "shop"\nversion = "1"\n[tool.fastapi]\nentrypoint = "shop:app"\n'

APP = """
import os
from pathlib import Path

from leyden import create_app
from leyden.data import Base, DataSettings, SessionDep, battery
from sqlalchemy import Column, ForeignKey, Integer, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column


class Note(Base):
    __tablename__ = "notes"
    {dormant}
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column({title})
    {columns}

{models}
settings = DataSettings(url=os.environ["URL"], migrations=Path(__file__).parent / "migrations")
app = create_app([battery(settings)], title="Shop")


@app.get("/notes")
async def newest(session: SessionDep) -> list[str]:
    found = await session.scalars(select(Note).order_by(Note.id.desc()).limit(5))
    return [note.title for note in found]


@app.post("/notes", status_code=201)
async def add(session: SessionDep) -> int:
    note = Note(title="a note", {written})
    session.add(note)
    await session.flush()
    {also}
    return note.id
"""

REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{number}", {before}


def upgrade():
{up}


def downgrade():
{down}
"""

SLUG = 'slug: Mapped[str | None] = mapped_column(default="s")'
BODY = "body: Mapped[str | None] = mapped_column(Text)"
MARK = """
class Mark(Base):
    __tablename__ = "marks"
    id: Mapped[int] = mapped_column(primary_key=True)
    note_id: Mapped[int] = mapped_column(ForeignKey("notes.id"), index=True)
"""


def dormant(*columns: str) -> str:
    """Columns that are in the table and no business of this release: it neither reads nor writes them."""
    names = ", ".join(repr(re.findall(r'"(\w+)"', column)[0]) for column in columns)
    return f"__table_args__ = ({', '.join(columns)},)\n    __mapper_args__ = {{'exclude_properties': [{names}]}}"


RELEASES = (
    {"columns": SLUG, "written": "slug='s'"},
    {"dormant": dormant('Column("body", Text)', 'Column("slug", String(255))'), "title": "index=True", "models": MARK},
    {
        "columns": BODY,
        "title": "index=True",
        "models": MARK,
        "written": "body='b'",
        "also": "session.add(Mark(note_id=note.id))",
    },
)
CARELESS: dict[str, str] = {}

BEGIN = """
op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.String(255), nullable=False),
                sa.Column("slug", sa.String(255)))
"""
EXPAND = """
op.add_column("notes", sa.Column("body", sa.Text))
op.create_table("marks", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("note_id", sa.Integer, sa.ForeignKey("notes.id"), nullable=False))
op.create_index("ix_marks_note_id", "marks", ["note_id"])
"""
ONLINE = """
with op.get_context().autocommit_block():
    op.create_index("ix_notes_title", "notes", ["title"], postgresql_concurrently=True)
"""
CONTRACT = 'op.drop_column("notes", "slug")'
REVISIONS = (
    (BEGIN, "pass"),
    (EXPAND, 'op.drop_table("marks")\nop.drop_column("notes", "body")'),
    (ONLINE, ONLINE.replace("create_index", "drop_index").replace('"notes", ["title"]', 'table_name="notes"')),
    (CONTRACT, 'op.add_column("notes", sa.Column("slug", sa.String(255)))'),
)


@dataclass(frozen=True)
class Shop:
    """A database, and the folders of releases that use it."""

    folder: Path
    url: str

    def release(self, name: str, revisions: Sequence[tuple[str, str]], **parts: str) -> Path:
        root = self.folder / name
        (root / "migrations").mkdir(parents=True)
        for number, (up, down) in enumerate(revisions):
            source = REVISION.format(
                number=f"r{number}",
                before=f'"r{number - 1}"' if number else None,
                up=indent(up.strip(), "    "),
                down=indent(down.strip(), "    "),
            )
            (root / "migrations" / f"{number}.py").write_text(source)
        names = ("title", "dormant", "columns", "models", "written", "also")
        (root / "shop.py").write_text(APP.format(**{part: parts.get(part, "") for part in names}))
        (root / "pyproject.toml").write_text(PROJECT)
        return root

    @property
    def env(self) -> dict[str, str]:
        return {"URL": self.url, "APP_ENVIRONMENT": "production"}

    def leyden(self, release: Path, *arguments: str) -> str:
        done = subprocess.run(
            [LEYDEN, "db", *arguments],
            cwd=release,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def shop(kind: str, tmp_path: Path) -> Iterator[Shop]:
    try:
        with fresh_database(kind, tmp_path) as url:
            yield Shop(tmp_path, url)
    except Unavailable as reason:
        skip_or_fail(str(reason))


@pytest.fixture
def serve(shop: Shop) -> Iterator[Callable[[Path], LiveServer]]:
    with ExitStack() as stack:
        yield lambda release: stack.enter_context(LiveServer(release, env=shop.env))


@dataclass
class Load:
    """What came back, and how long it took."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


async def ask(http: httpx2.AsyncClient, method: str) -> int:
    """The status; a connection that breaks is a failure too, and a server closes it after an error."""
    try:
        return (await http.request(method, "/notes")).status_code
    except httpx2.TransportError:
        return NO_ANSWER


@asynccontextmanager
async def load(*servers: LiveServer) -> AsyncIterator[Load]:
    """Clients of each server read and write for as long as the block runs, and each at least ten times."""
    found, stop = Load(), asyncio.Event()

    async def client(server: LiveServer, number: int) -> None:
        async with server.client(timeout=30) as http:
            turn = number
            while turn < number + 10 or not stop.is_set():
                before = time.monotonic()
                status = await ask(http, "GET" if turn % 2 else "POST")
                found.seconds.append(time.monotonic() - before)
                found.statuses[status] += 1
                turn += 1
                await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as tasks:
        for server in servers:
            for number in range(CLIENTS):
                tasks.create_task(client(server, number))
        try:
            yield found
        finally:
            stop.set()


async def side_by_side(
    shop: Shop, serve: Callable[[Path], LiveServer], older: LiveServer, release: Path, back_to: str
) -> tuple[LiveServer, list[Load]]:
    """Upgrade under the older release, start the newer one beside it, and go back and forth under both."""
    async with load(older) as alone:
        await asyncio.to_thread(shop.leyden, release, "upgrade")
    newer = serve(release)
    async with load(older, newer) as both:
        await asyncio.to_thread(shop.leyden, release, "downgrade", back_to, "--yes")
        await asyncio.to_thread(shop.leyden, release, "upgrade")
    older.stop()
    return newer, [alone, both]


@pytest.mark.parametrize("kind", DATABASES)
async def test_neighbouring_releases_serve_side_by_side_while_the_database_goes_up_and_down(
    shop: Shop, serve: Callable[[Path], LiveServer], kind: str
) -> None:
    first = shop.release("first", REVISIONS[:1], **RELEASES[0])
    second = shop.release("second", REVISIONS[:3], **RELEASES[1])
    third = shop.release("third", REVISIONS, **RELEASES[2])
    shop.leyden(first, "upgrade")

    server, found = await side_by_side(shop, serve, serve(first), second, "r0")
    if kind == "postgresql":  # once is enough for what the databases do alike
        server, more = await side_by_side(shop, serve, server, third, "r2")
        found += more
        assert "The models, the migrations and the database agree." in shop.leyden(third, "check")

    assert [step.failed for step in found] == [0] * len(found), [step.statuses for step in found]
    whole = Load(seconds=[seconds for step in found for seconds in step.seconds])
    assert whole.p99 < 1, sorted(whole.seconds)[-20:]
    assert len(whole.seconds) > 100


@pytest.mark.parametrize("kind", ["postgresql"])
async def test_what_the_advice_would_have_caught_fails_the_release_that_is_running(
    shop: Shop, serve: Callable[[Path], LiveServer]
) -> None:
    first = shop.release("first", REVISIONS[:1], **RELEASES[0])
    careless = shop.release("careless", [REVISIONS[0], REVISIONS[-1]], **CARELESS)
    shop.leyden(first, "upgrade")
    server = serve(first)
    async with load(server) as before:
        pass
    told = shop.leyden(careless, "upgrade")
    async with load(server) as after:
        pass
    assert "careful r1: Dropping notes.slug: the running release still reads or writes it, and fails." in told
    assert (before.failed, after.failed) == (0, sum(after.statuses.values()))
