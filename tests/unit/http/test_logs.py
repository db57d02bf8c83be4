import logging
import sys

from leyden.http import AlreadyLogged
from leyden.http.logs import mark_logged


def record_of(error: Exception | None) -> logging.LogRecord:
    try:
        if error is not None:
            raise error
    except ValueError:
        return logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, "again", (), sys.exc_info())
    return logging.LogRecord("uvicorn.error", logging.INFO, "x", 1, "something else", (), None)


def test_the_second_record_of_an_error_is_dropped_and_all_others_pass() -> None:
    logged = ValueError()
    mark_logged(logged)
    only_once = AlreadyLogged()
    assert not only_once.filter(record_of(logged))
    assert only_once.filter(record_of(ValueError()))
    assert only_once.filter(record_of(None))
