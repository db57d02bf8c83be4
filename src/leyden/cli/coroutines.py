"""Coroutine commands that really run: Typer calls them, drops the coroutine and ends with success."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any


def run_coroutines(command: Any) -> Any:
    """Make every callback of a Typer command or group, at any depth, wait for the coroutine it returns."""
    if command.callback is not None:
        command.callback = _waiting_for(command.callback)
    for inner in getattr(command, "commands", {}).values():
        run_coroutines(inner)
    return command


def _waiting_for(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = callback(*args, **kwargs)
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    return call
