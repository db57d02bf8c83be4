"""The errors everything in Leyden raises.

LeydenError                 500  error
├── ConfigurationError      500  configuration     what the app was given cannot work
│   └── BatteryOrderError   500  battery_order     a battery is missing, doubled or misplaced
├── StartError              500  start_failed      the app was right but could not start
├── ResourceMissingError    500  resource_missing  no battery provides what an endpoint asks for
├── NotFoundError           404  not_found
└── OverloadedError         503  overloaded        a bound was reached; try again later
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of the input; `field` is a dotted path such as `body.email`."""

    field: str
    code: str
    message: str


class LeydenError(Exception):
    """Something went wrong. The log entry with this request id says what."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> None:
        self.translatable = detail is None
        message = type(self).message() if detail is None else detail
        self.detail = message.format(**params) if detail is None and params else message
        self.fields = tuple(fields)
        self.headers = dict(headers or {})
        self.params = params
        super().__init__(self.detail)

    @classmethod
    def message(cls) -> str:
        """The docstring of the class or of the nearest one above: its default message, in English, with `{params}`."""
        return inspect.getdoc(cls) or ""


class ConfigurationError(LeydenError):
    """The app's configuration cannot work."""

    code = "configuration"


class BatteryOrderError(ConfigurationError):
    """The list of batteries is not in an order that can start."""

    code = "battery_order"


class StartError(LeydenError):
    """The app could not start."""

    code = "start_failed"


class ResourceMissingError(LeydenError):
    """No running battery provides {kind}. Add the battery that does to the list in app.py."""

    code = "resource_missing"


class NotFoundError(LeydenError):
    """There is nothing here."""

    status = 404
    code = "not_found"


class OverloadedError(LeydenError):
    """The service is busy. Try again in a moment."""

    status = 503
    code = "overloaded"

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, **params: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **params)
