"""Events tell what happened to whoever listens."""

import logging
from dataclasses import dataclass

import pytest

from leyden.core import Events


@dataclass(frozen=True)
class Rang:
    who: str


@dataclass(frozen=True)
class RangTwice(Rang):
    pass


def test_listeners_hear_the_events_of_their_class_in_order() -> None:
    events, heard = Events(), list[str]()
    events.listen(Rang, lambda event: heard.append(f"first {event.who}"))
    events.listen(Rang, lambda event: heard.append(f"second {event.who}"))
    events.emit(Rang("a"))
    events.emit(RangTwice("b"))
    events.emit("something else")
    assert heard == ["first a", "second a"]


def test_nobody_pays_for_an_event_that_nobody_hears() -> None:
    events = Events()
    assert not events.heard(Rang)
    stop = events.listen(Rang, print)
    assert events.heard(Rang)
    stop()
    assert not events.heard(Rang)


def test_stopping_one_listener_leaves_the_others() -> None:
    events, heard = Events(), list[Rang]()
    stop = events.listen(Rang, heard.append)
    events.listen(Rang, heard.append)
    stop()
    stop()
    events.emit(Rang("a"))
    assert heard == [Rang("a")]


def test_stopping_twice_is_harmless() -> None:
    events = Events()
    stop = events.listen(Rang, print)
    stop()
    stop()
    assert not events.heard(Rang)


def test_a_listener_that_fails_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_event: Rang) -> None:
        raise ZeroDivisionError

    events, heard = Events(), list[Rang]()
    events.listen(Rang, fail)
    events.listen(Rang, heard.append)
    with caplog.at_level(logging.ERROR):
        events.emit(Rang("a"))
    assert heard == [Rang("a")]
    assert "ZeroDivisionError" in caplog.text


def test_a_listener_may_stop_itself_while_it_hears() -> None:
    events, heard = Events(), list[Rang]()

    def once(event: Rang) -> None:
        heard.append(event)
        stop()

    stop = events.listen(Rang, once)
    events.emit(Rang("a"))
    events.emit(Rang("b"))
    assert heard == [Rang("a")]
