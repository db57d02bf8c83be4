"""What the database has been asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueryRan:
    """A statement has ended, well or not; `seconds` include the way to the database and back."""

    statement: str
    seconds: float
    failed: bool
