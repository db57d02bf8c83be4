"""Things that one process does for all of them."""

from multiprocessing import get_context


class Once:
    """Something that only the first of some processes does, such as saying why none of them can start."""

    def __init__(self, *, shared: bool) -> None:
        self._done = False
        self._shared = get_context("spawn").Value("b", 0) if shared else None  # costs a process that looks after it

    def first(self) -> bool:
        """Whether this is the first call in any of the processes."""
        if self._shared is None:
            done, self._done = self._done, True
            return not done
        with self._shared.get_lock():
            before, self._shared.value = self._shared.value, 1
        return not before

    @property
    def done(self) -> bool:
        """Whether one of the processes has done it."""
        return self._done if self._shared is None else bool(self._shared.value)
