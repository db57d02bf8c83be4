"""A relational database: one URL, a session that is a unit of work, a base model, pages, migrations."""

from leyden.data.base import Base, Model
from leyden.data.database import Database, DatabaseDep, ReaderDep, SessionDep
from leyden.data.errors import ConflictError, DatabaseBusyError, DatabaseDownError, InvalidValueError, LockedError
from leyden.data.identifiers import uuid7
from leyden.data.lookups import apply, get_or_404
from leyden.data.pages import Page, PageDep, PageParams, paginate
from leyden.data.settings import DataSettings
from leyden.data.types import Document, Timestamp
from leyden.data.wiring import battery

__all__ = [
    "Base",
    "ConflictError",
    "DataSettings",
    "Database",
    "DatabaseBusyError",
    "DatabaseDep",
    "DatabaseDownError",
    "Document",
    "InvalidValueError",
    "LockedError",
    "Model",
    "Page",
    "PageDep",
    "PageParams",
    "ReaderDep",
    "SessionDep",
    "Timestamp",
    "apply",
    "battery",
    "get_or_404",
    "paginate",
    "uuid7",
]
