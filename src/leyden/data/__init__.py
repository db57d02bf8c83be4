"""A relational database: one URL, a session that is a unit of work, a base model, pages, migrations."""

from leyden.data.base import Base, Model
from leyden.data.batches import BatchItem, batch, batch_answer
from leyden.data.cursors import CursorDep, CursorParams
from leyden.data.database import Database, DatabaseDep, ReaderDep, SessionDep
from leyden.data.errors import (
    ConflictError,
    ContentionError,
    DatabaseBusyError,
    DatabaseDownError,
    InvalidCursorError,
    InvalidValueError,
    LockedError,
    MalformedIfMatchError,
    PreconditionFailedError,
    PreconditionRequiredError,
    StaleError,
    TooManyItemsError,
)
from leyden.data.events import QueryRan
from leyden.data.identifiers import uuid7
from leyden.data.listings import Listing, listing
from leyden.data.lookups import apply, get_or_404
from leyden.data.pages import CursorPage, Page, PageDep, PageParams, paginate
from leyden.data.pool import PoolStatus
from leyden.data.prepared import Prepared, prepared
from leyden.data.search import Search
from leyden.data.search_indexes import SearchIndex
from leyden.data.settings import DataSettings
from leyden.data.streams import RowStream, stream_csv, stream_json_lines
from leyden.data.totals import Total
from leyden.data.types import Document, Timestamp
from leyden.data.upserts import upsert
from leyden.data.versions import IF_MATCH_ANSWERS, IfMatch, IfMatchDep, OptionalIfMatchDep, Versioned, etag, set_etag
from leyden.data.wiring import battery
from leyden.data.writes import get_or_create, insert_many

__all__ = [
    "IF_MATCH_ANSWERS",
    "Base",
    "BatchItem",
    "ConflictError",
    "ContentionError",
    "CursorDep",
    "CursorPage",
    "CursorParams",
    "DataSettings",
    "Database",
    "DatabaseBusyError",
    "DatabaseDep",
    "DatabaseDownError",
    "Document",
    "IfMatch",
    "IfMatchDep",
    "InvalidCursorError",
    "InvalidValueError",
    "Listing",
    "LockedError",
    "MalformedIfMatchError",
    "Model",
    "OptionalIfMatchDep",
    "Page",
    "PageDep",
    "PageParams",
    "PoolStatus",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "Prepared",
    "QueryRan",
    "ReaderDep",
    "RowStream",
    "Search",
    "SearchIndex",
    "SessionDep",
    "StaleError",
    "Timestamp",
    "TooManyItemsError",
    "Total",
    "Versioned",
    "apply",
    "batch",
    "batch_answer",
    "battery",
    "etag",
    "get_or_404",
    "get_or_create",
    "insert_many",
    "listing",
    "paginate",
    "prepared",
    "set_etag",
    "stream_csv",
    "stream_json_lines",
    "upsert",
    "uuid7",
]
