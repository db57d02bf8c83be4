import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest

from leyden.cli.logs import JsonLines, Lines, Supervised, WithoutQuery, WithRequestId, escape, log_config

FORGED = "a\n12:00:00 INFO    leyden  admin logged in\r\x1b[2Kb\u2028c"


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    yield from _logger(Lines())


@pytest.fixture
def json_lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    yield from _logger(JsonLines())


def _logger(formatter: logging.Formatter) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    handler.addFilter(WithRequestId())
    logger = logging.Logger("test.of.logs")  # noqa: LOG001 -- not to be found by others
    logger.addHandler(handler)
    yield logger, out


def test_a_users_value_cannot_begin_a_line(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = lines

    logger.info("searched for %s", FORGED)

    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()
    assert r"a\n12:00:00" in out.getvalue()


def test_a_users_value_in_an_exception_cannot_look_like_an_entry(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = lines

    logger.error("failed", exc_info=ValueError(FORGED))

    first, *others = out.getvalue().splitlines()
    assert "failed" in first
    assert all(line.startswith("    ") for line in others)


def test_a_json_entry_is_one_line_with_its_extra_values(json_lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = json_lines

    logger.warning("slow %s", FORGED, extra={"seconds": 3})

    assert out.getvalue().count("\n") == 1
    entry = json.loads(out.getvalue())
    assert (entry["level"], entry["message"], entry["seconds"]) == ("warning", f"slow {FORGED}", 3)


def test_an_access_record_has_no_query() -> None:
    record = logging.LogRecord(
        "uvicorn.access",
        logging.INFO,
        "",
        0,
        '%s - "%s %s HTTP/%s" %d',
        ("1.2.3.4:5", "GET", "/me?token=abc", "1.1", 200),
        None,
    )

    WithoutQuery().filter(record)

    assert record.getMessage() == "GET /me 200 1.2.3.4:5"


@pytest.mark.parametrize("production", [True, False])
def test_the_configuration_is_one_that_logging_takes(*, production: bool) -> None:
    before = logging.root.handlers[:], logging.root.level
    try:
        logging.config.dictConfig(log_config(production=production))
    finally:
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)


def test_escaping_leaves_letters_alone() -> None:
    assert escape("grün 蓝色 🎈 \\n") == "grün 蓝色 🎈 \\n"


@pytest.mark.parametrize("production", [True, False])
def test_of_the_servers_own_words_only_warnings_and_errors_are_kept(*, production: bool) -> None:
    server = log_config(production=production)["loggers"]["uvicorn.error"]

    assert server["level"] == "WARNING"


def test_the_supervisors_words_of_ended_workers_are_left_to_leyden_run() -> None:
    def said_in(function: str) -> logging.LogRecord:
        return logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "x", (), None, func=function)

    assert not Supervised().filter(said_in("keep_subprocess_alive"))
    assert Supervised().filter(said_in("restart_all"))
    assert Supervised().filter(said_in("_wait_tasks_to_complete"))
