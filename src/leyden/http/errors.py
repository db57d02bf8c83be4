"""What the HTTP edge refuses or gives up.

LeydenError
├── HostRefusedError       400  host_refused
├── CorsRefusedError       400  cors_refused
├── ContentTooLargeError   413  content_too_large
├── NotReadyError          503  not_ready
└── DeadlineExceededError  504  deadline_exceeded
"""

from leyden.core.errors import LeydenError


class HostRefusedError(LeydenError):
    """No service answers to that host name here."""

    status = 400
    code = "host_refused"


class CorsRefusedError(LeydenError):
    """Pages of that origin may not make this request."""

    status = 400
    code = "cors_refused"


class ContentTooLargeError(LeydenError):
    """The body of the request is too large."""

    status = 413
    code = "content_too_large"


class NotReadyError(LeydenError):
    """The service does not take requests at the moment."""

    status = 503
    code = "not_ready"


class DeadlineExceededError(LeydenError):
    """The answer took too long and was given up."""

    status = 504
    code = "deadline_exceeded"
