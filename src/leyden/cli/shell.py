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

_BANNER = """{entrypoint} is running, not serving. Here are app and {resources}.
Use await; Ctrl+D leaves."""


@commands.command()
def shell() -> None:
    """Start every battery and a Python prompt on the same event loop; `await` works at its top level."""
    if asyncio.run(_shell(project_here())):
        raise typer.Exit(1)


async def _shell(project: Project) -> bool:
    """Whether something read from a pipe or a file has failed; at a terminal the person has seen it."""
    async with project.running(check=False) as resources:
        kinds = {kind.__name__: kind for kind in resources.kinds()}
        typed = sys.stdin.isatty()
        console = Console(
            {**kinds, "app": project.app, "resources": resources}, asyncio.get_running_loop(), typed=typed
        )
        shown = ", ".join(f"resources[{name}]" for name in kinds)
        banner = _BANNER.format(entrypoint=project.entrypoint, resources=shown) if typed else ""
        with console.interrupted_by(signal.SIGINT):
            await asyncio.to_thread(console.interact, banner=banner, exitmsg="")
    return console.failed and not typed


class Console(code.InteractiveConsole):
    """Reads in a thread of its own and runs what it reads on the event loop; what nobody types has no prompts,
    and ends with its first error.
    """

    def __init__(self, names: Mapping[str, Any], loop: asyncio.AbstractEventLoop, *, typed: bool) -> None:
        super().__init__({"__name__": "__console__", "__doc__": None, "asyncio": asyncio, **names})
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        self._running: asyncio.Task[Any] | None = None
        self._left = False
        self._typed = typed
        self.failed = False

    def runcode(self, code: CodeType) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._run(code), self._loop).result()
        except asyncio.CancelledError:
            self.write("\nKeyboardInterrupt\n")
            self._fail()
        except Exception as error:  # noqa: BLE001 -- a prompt shows every error and goes on
            self.write("".join(traceback.format_exception(error.with_traceback(_from_prompt(error.__traceback__)))))
            self._fail()

    def showsyntaxerror(self, *args: Any, **options: Any) -> None:
        super().showsyntaxerror(*args, **options)
        self._fail()

    def interrupted_by(self, number: signal.Signals) -> "_Interruption":
        return _Interruption(self, self._loop, number)

    def interrupt(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _fail(self) -> None:
        self.failed = True
        self._left = self._left or not self._typed

    async def _run(self, code: CodeType) -> None:
        self._running = asyncio.current_task()
        try:
            result = FunctionType(code, self.locals)()
            if inspect.iscoroutine(result):
                await result
        except SystemExit as left:  # raised here, exit() would end the loop under the running app
            self._left = True
            self.failed = left.code not in (None, 0)
        finally:
            self._running = None

    def raw_input(self, prompt: str = "") -> str:
        if self._left:
            self._tell_unfinished()
            raise EOFError
        if self._typed:
            return super().raw_input(prompt)
        return self._line()

    def _line(self) -> str:
        """The next line of a pipe or file; after the last one an empty one, which ends a block as it does at a prompt."""
        line = sys.stdin.readline()
        self._left = not line
        if not line and not self.buffer:
            raise EOFError
        return line.removesuffix("\n")

    def _tell_unfinished(self) -> None:
        if self.buffer and not self._typed:
            self.write("The input ends in the middle of a statement.")
            self._fail()


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
