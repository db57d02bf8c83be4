"""What an HTTP status is called where an error brings no code or sentence of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    code: str
    title: str
    detail: str


_STATUSES = {
    400: Status("bad_request", "Bad request", "The request could not be understood."),
    401: Status("unauthorized", "Not authenticated", "Log in, or send valid credentials."),
    402: Status("payment_required", "Payment required", "This needs a payment first."),
    403: Status("forbidden", "Forbidden", "You may not do this."),
    404: Status("not_found", "Not found", "There is nothing here."),
    405: Status("method_not_allowed", "Method not allowed", "This address does not support that method."),
    406: Status("not_acceptable", "Not acceptable", "None of the formats you accept can be had here."),
    408: Status("request_timeout", "Request timeout", "The request did not arrive in time."),
    409: Status("conflict", "Conflict", "The request conflicts with the current state."),
    410: Status("gone", "Gone", "This is no longer here."),
    411: Status("length_required", "Length required", "Send the length of the body."),
    412: Status("precondition_failed", "Precondition failed", "It has changed since you read it. Read it again."),
    413: Status("content_too_large", "Content too large", "The body of the request is too large."),
    414: Status("uri_too_long", "Address too long", "The address is too long."),
    415: Status("unsupported_media_type", "Unsupported media type", "That content type is not understood here."),
    416: Status("range_not_satisfiable", "Range not satisfiable", "That range does not exist."),
    421: Status("misdirected_request", "Misdirected request", "This service cannot answer that request."),
    422: Status("validation_failed", "Invalid input", "Some of the input is not valid."),
    423: Status("locked", "Locked", "It is locked at the moment."),
    425: Status("too_early", "Too early", "The request came too early. Repeat it."),
    428: Status("precondition_required", "Precondition required", "Send the version you read with the request."),
    429: Status("too_many_requests", "Too many requests", "Too many requests. Try again later."),
    431: Status("headers_too_large", "Headers too large", "The headers of the request are too large."),
    451: Status("unavailable_for_legal_reasons", "Unavailable for legal reasons", "This may not be shown here."),
    500: Status(
        "internal_error", "Internal error", "Something went wrong. The log entry with this request id says what."
    ),
    501: Status("not_implemented", "Not implemented", "This is not supported."),
    502: Status("bad_gateway", "Bad gateway", "A service behind this one gave no useful answer."),
    503: Status("service_unavailable", "Service unavailable", "The service is busy. Try again in a moment."),
    504: Status("gateway_timeout", "Timeout", "The answer took too long and was given up."),
    507: Status("insufficient_storage", "Insufficient storage", "There is no room to store this."),
}
_CLIENT = Status("client_error", "Request refused", "The request was refused.")
_SERVER = Status("server_error", "Server error", "Something went wrong. The log entry with this request id says what.")


def status_of(number: int) -> Status:
    """The name of this status; every number has one."""
    return _STATUSES.get(number) or (_SERVER if number >= 500 else _CLIENT)  # noqa: PLR2004 -- HTTP's own border


def all_statuses() -> tuple[Status, ...]:
    """Everything a catalogue has to name."""
    return (*_STATUSES.values(), _CLIENT, _SERVER)
