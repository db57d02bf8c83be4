"""What goes wrong with data.

LeydenError
├── ConflictError             409  conflict               a constraint refused the change; `fields` names the column
│   └── StaleError            409  stale                  the row was changed since this unit of work read it
├── InvalidCursorError        400  invalid_cursor         a cursor was changed, or made for another list
├── InvalidValueError         422  invalid_value          the database has no room for a value
├── TooManyItemsError         422  too_many_items         a batch has more items than it may have
├── MalformedIfMatchError     400  malformed_if_match     the header is no list of ETags
├── PreconditionFailedError   412  precondition_failed    the row was changed since the client read it
├── PreconditionRequiredError 428  precondition_required  the client does not say which version it read
├── UnitOfWorkError           500  unit_of_work           a session that would wait for ever, or whose work is undone
├── MigrationError            500  migration              a migration could not be read, made or applied
│   └── BlockedMigrationError 500  migration              a lock was in its way: nothing of it happened, try again
└── OverloadedError
    ├── DatabaseDownError     503  database_down          the database does not answer
    ├── DatabaseBusyError     503  database_busy          no free connection, a lock in the way, a statement over its time
    │   └── ContentionError   503  database_busy          a deadlock or its like: the same work may succeed from its start
    │       └── LockTimeoutError  503  database_busy      somebody kept a lock for longer than `lock_timeout`
    └── LockedError           503  locked                 another process holds the lock
"""

from leyden.core import LeydenError, OverloadedError


class ConflictError(LeydenError):
    """The change conflicts with what is there already."""

    status = 409
    code = "conflict"


class InvalidCursorError(LeydenError):
    """The cursor does not belong to this list. Start again from the first page: leave the cursor out."""

    status = 400
    code = "invalid_cursor"


class StaleError(ConflictError):
    """It was changed by somebody else in the meantime. Read it again, and repeat the change."""

    code = "stale"


class InvalidValueError(LeydenError):
    """One of the values cannot be stored: it is too long, too large or holds a character that is not allowed."""

    status = 422
    code = "invalid_value"


class TooManyItemsError(LeydenError):
    """At most {most} items can be sent at once. Send the others in another request."""

    status = 422
    code = "too_many_items"


class MalformedIfMatchError(LeydenError):
    """The header If-Match cannot be read. Send the ETag exactly as you got it, with its quotes, or *."""

    status = 400
    code = "malformed_if_match"


class PreconditionFailedError(LeydenError):
    """It has changed since you read it. Read it again, and send its new ETag in If-Match."""

    status = 412
    code = "precondition_failed"


class PreconditionRequiredError(LeydenError):
    """Say which version you change: send the ETag that you read in the header If-Match."""

    status = 428
    code = "precondition_required"


class UnitOfWorkError(LeydenError):
    """A unit of work is open already in this task; use its session."""

    code = "unit_of_work"


class MigrationError(LeydenError):
    """The migrations could not be applied. Run `leyden db history` to see them."""

    code = "migration"


class BlockedMigrationError(MigrationError):
    """Something else has a table of the migration in use. Run it again at a quieter time."""


class DatabaseDownError(OverloadedError):
    """The database does not answer. Try again in a moment."""

    code = "database_down"


class DatabaseBusyError(OverloadedError):
    """The database is busy. Try again in a moment."""

    code = "database_busy"


class ContentionError(DatabaseBusyError):
    """Others are changing the same data. Try again in a moment."""


class LockTimeoutError(ContentionError):
    """Others are changing the same data, and take long. Try again in a moment."""


class LockedError(OverloadedError):
    """Another process holds the lock '{name}'. Try again when it has finished."""

    code = "locked"
