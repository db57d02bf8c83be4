from sqlalchemy import ForeignKey, bindparam, insert, select
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from leyden.data import Base, Database, DataSettings, prepared
from leyden.testing import queries


class Bookcase(Base):
    __tablename__ = "queries_shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["Volume"]] = relationship()


class Volume(Base):
    __tablename__ = "queries_books"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey(Bookcase.id))


TABLES = [Base.metadata.tables[name] for name in ("queries_shelves", "queries_books")]
find = prepared(select(Bookcase.id).where(Bookcase.id == bindparam("id")))


async def test_a_query_a_row_is_seen_as_such_and_one_for_all_as_one() -> None:
    async with Database(DataSettings(url="sqlite://")) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
            await connection.execute(insert(Bookcase), [{"id": number} for number in range(5)])

        with queries(database) as one_a_row:
            async with database.reader() as reader:
                for shelf in await reader.scalars(select(Bookcase)):
                    await shelf.awaitable_attrs.books
        with queries(database) as at_once:
            async with database.reader() as reader:
                await reader.scalars(select(Bookcase).options(selectinload(Bookcase.books)))
        with queries(database) as straight:
            await find(database, id=3)

        assert (len(one_a_row), len(at_once), len(straight)) == (6, 2, 1)
        assert "FROM queries_shelves" in straight[0].statement
        assert straight[0].seconds > 0
        assert not straight[0].failed

        await find(database, id=3)
        assert len(straight) == 1
