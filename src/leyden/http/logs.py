"""One error, one traceback in the log."""

import logging

_MARK = "__leyden_logged__"


def mark_logged(error: BaseException) -> None:
    """Note on the error that its traceback is in the log."""
    setattr(error, _MARK, True)


def is_logged(error: BaseException) -> bool:
    return getattr(error, _MARK, False)


class AlreadyLogged(logging.Filter):
    """Drops records of an error that is in the log already; for the server's own logger, `uvicorn.error`."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        return error is None or not is_logged(error)
