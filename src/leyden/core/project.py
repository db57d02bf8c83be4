"""Where an app lives on disk, found as the FastAPI command line finds it: `[tool.fastapi] entrypoint`."""

import importlib
import sys
import tomllib
import traceback
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from leyden.core.battery import Battery
from leyden.core.environment import declared_environment
from leyden.core.errors import ConfigurationError, LeydenError
from leyden.core.resources import Resources, installed, running
from leyden.core.settings import implied_environment


@dataclass(frozen=True)
class Project:
    """The folder of an app and the `module:name` of the app in it; the app is imported when it is first asked for."""

    root: Path
    entrypoint: str

    @cached_property
    def app(self) -> FastAPI:
        """Raises ConfigurationError with one sentence when the app cannot be imported; what failed is its cause."""
        module_name, _, name = self.entrypoint.partition(":")
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        try:
            module = importlib.import_module(module_name)
        except LeydenError:
            raise
        except Exception as error:
            raise ConfigurationError(self._not_imported(error)) from error
        except SystemExit as error:
            if type(error) is not SystemExit:  # a command's own, of a signal that came during the import
                raise
            raise ConfigurationError(self._not_imported(error)) from error
        found = getattr(module, name or "app", None)
        if not isinstance(found, FastAPI):
            raise ConfigurationError(
                f"{module_name} has no FastAPI application named '{name or 'app'}'. "
                "Correct [tool.fastapi] entrypoint in pyproject.toml, which is written like shop.app:app."
            )
        return found

    @property
    def development(self) -> bool:
        """Whether the environment, `.env` or `config.toml` say development, or nothing else while a command implies it."""
        return (declared_environment(self.root) or implied_environment()) == "development"

    @property
    def batteries(self) -> tuple[Battery, ...]:
        return installed(self.app).batteries

    def running(self, *, check: bool = True) -> AbstractAsyncContextManager[Resources]:
        """Start the app's batteries without serving it; see leyden.core.running."""
        return running(self.batteries, overrides=installed(self.app).overrides, check=check)

    def _not_imported(self, error: BaseException) -> str:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if self._owns(frame.filename)]
        where = f" ({self._place(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
        if isinstance(error, SyntaxError) and error.filename and self._owns(error.filename):
            where = f" ({self._place(error.filename)}:{error.lineno})"
            return f"The app {self.entrypoint} could not be imported: {type(error).__name__}: {error.msg}{where}."
        told = f"{type(error).__name__}: {error}".removesuffix(": ")
        return f"The app {self.entrypoint} could not be imported: {told}{where}."

    def _owns(self, filename: str) -> bool:
        return Path(filename).is_relative_to(self.root)

    def _place(self, filename: str) -> Path:
        return Path(filename).relative_to(self.root)


def find_project(start: Path) -> Project | None:
    """The project around a folder: the nearest pyproject.toml upward, if it names an entrypoint."""
    folder = start.resolve()
    for root in (folder, *folder.parents):
        if (root / "pyproject.toml").is_file():
            entrypoint = _entrypoint(root / "pyproject.toml")
            return Project(root, entrypoint) if entrypoint else None
    return None


def _entrypoint(pyproject: Path) -> str | None:
    try:
        document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{pyproject} is no valid TOML: {error}.") from None
    fastapi = _table(_table(document, "tool"), "fastapi")
    entrypoint = fastapi.get("entrypoint")
    if entrypoint is None or isinstance(entrypoint, str):
        return entrypoint
    raise ConfigurationError(f"[tool.fastapi] entrypoint in {pyproject} is no text. Write it like shop.app:app.")


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name, {})
    return found if isinstance(found, Mapping) else {}
