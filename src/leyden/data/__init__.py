"""A relational database: one URL, a session that is a unit of work, a base model, pages, migrations."""

from leyden.data.base import Base, Model
from leyden.data.batches import BatchItem, batch, batch_answer
from leyden.data.database import Database, DatabaseDep, ReaderDep, SessionDep
from leyden.data.errors import (
    ConflictError,
    DatabaseBusyError,
    DatabaseDownError,
    InvalidValueError,
    LockedError,
    MalformedIfMatchError,
    PreconditionFailedError,
    PreconditionRequiredError,
    StaleError,
    TooManyItemsError,
)
from leyden.data.identifiers import uuid7
from leyden.data.lookups import apply, get_or_404
from leyden.data.pages import Page, PageDep, PageParams, paginate
from leyden.data.settings import DataSettings
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
    "DataSettings",
    "Database",
    "DatabaseBusyError",
    "DatabaseDep",
    "DatabaseDownError",
    "Document",
    "IfMatch",
    "IfMatchDep",
    "InvalidValueError",
    "LockedError",
    "MalformedIfMatchError",
    "Model",
    "OptionalIfMatchDep",
    "Page",
    "PageDep",
    "PageParams",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "ReaderDep",
    "SessionDep",
    "StaleError",
    "Timestamp",
    "TooManyItemsError",
    "Versioned",
    "apply",
    "batch",
    "batch_answer",
    "battery",
    "etag",
    "get_or_404",
    "get_or_create",
    "insert_many",
    "paginate",
    "set_etag",
    "upsert",
    "uuid7",
]
