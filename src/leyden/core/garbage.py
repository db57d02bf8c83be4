"""What lives as long as an app is no garbage, and need not be looked through for any."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_AT_FIRST = gc.get_freeze_count()
"""Python 3.12 begins with some hundred objects of its own."""

_lock = Lock()
_users = 0


@contextmanager
def set_aside() -> Iterator[None]:
    """Keep the garbage collector away from all there is now: modules, models, routes.

    A full collection stops every request that is being served for as long as it takes to look through them. Of several
    apps in a process the last one to stop gives everything back; what somebody else has frozen is left to them.
    """
    ours = _freeze()
    try:
        yield
    finally:
        if ours:
            _give_back()


def _freeze() -> bool:
    global _users  # noqa: PLW0603 -- the collector is the process's own
    with _lock:
        if not _users and gc.get_freeze_count() > _AT_FIRST:
            return False
        _users += 1
        gc.freeze()
        return True


def _give_back() -> None:
    global _users  # noqa: PLW0603 -- as above
    with _lock:
        _users -= 1
        if not _users:
            gc.unfreeze()
