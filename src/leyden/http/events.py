"""What the HTTP edge tells whoever listens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """A request was answered in full or given up; `route` is the template, empty where no route matched."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
