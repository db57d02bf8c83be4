"""`leyden shell`: a prompt in the running app."""

import ast
import asyncio
import code
import inspect
import signal
import sys
import traceback
from collections.abc import Mapping
from types import CodeType, FunctionType, TracebackType
from typing import Any

import typer

from leyden.cli.lookup import project_here
from leyden.core.project import Project

commands = typer.Typer(add_completion=False)

_BANNER = "{entrypoint} is running, not serving. Here are: {names}. Use await; Ctrl+D leaves."


@commands.command()
def shell() -> None:
    """Start every battery and a Python prompt on the same event loop; `await` works at its top level."""
    asyncio.run(_shell(project_here()))


async def _shell(project: Project) -> None:
    async with project.running(check=False) as resources:
        names = {"app": project.app, "resources": resources}
        console = Console(names, asyncio.get_running_loop())
        banner = _BANNER.format(entrypoint=project.entrypoint, names=", ".join(names)) if sys.stdin.isatty() else ""
        with console.interrupted_by(signal.SIGINT):
            await asyncio.to_thread(console.interact, banner=banner, exitmsg="")


class Console(code.InteractiveConsole):
    """Reads in a thread of its own and runs what it reads on the event loop."""

    def __init__(self, names: Mapping[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"__name__": "__console__", "__doc__": None, "asyncio": asyncio, **names})
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        self._running: asyncio.Task[Any] | None = None
        self._left = False

    def runcode(self, code: CodeType) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._run(code), self._loop).result()
        except asyncio.CancelledError:
            self.write("\nKeyboardInterrupt\n")
        except Exception as error:  # noqa: BLE001 -- a prompt shows every error and goes on
            self.write("".join(traceback.format_exception(error.with_traceback(_from_prompt(error.__traceback__)))))

    def interrupted_by(self, number: signal.Signals) -> "_Interruption":
        return _Interruption(self, self._loop, number)

    def interrupt(self) -> None:
        if self._running is not None:
            self._running.cancel()

    async def _run(self, code: CodeType) -> None:
        self._running = asyncio.current_task()
        try:
            result = FunctionType(code, self.locals)()
            if inspect.iscoroutine(result):
                await result
        except SystemExit:  # raised here, exit() would end the loop under the running app
            self._left = True
        finally:
            self._running = None

    def raw_input(self, prompt: str = "") -> str:
        if self._left:
            raise EOFError
        return super().raw_input(prompt)


def _from_prompt(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins with what was typed."""
    while trace is not None and trace.tb_frame.f_code.co_filename != "<console>":
        trace = trace.tb_next
    return trace


class _Interruption:
    """Ctrl+C cancels what runs at the prompt instead of ending the app."""

    def __init__(self, console: Console, loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
        self._console = console
        self._loop = loop
        self._number = number

    def __enter__(self) -> None:
        self._loop.add_signal_handler(self._number, self._console.interrupt)

    def __exit__(self, *_: object) -> None:
        self._loop.remove_signal_handler(self._number)
