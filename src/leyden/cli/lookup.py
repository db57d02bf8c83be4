"""The app around the current folder."""

from pathlib import Path

from leyden.core.errors import ConfigurationError
from leyden.core.project import Project, find_project


class NoAppError(ConfigurationError):
    """There is no app in {folder} or above it: no pyproject.toml with a [tool.fastapi] entrypoint. Make one: leyden new shop."""

    code = "no_app"


def project_here() -> Project:
    """Raises NoAppError where no folder upward names an app."""
    if project := find_project(Path.cwd()):
        return project
    raise NoAppError(folder=Path.cwd())
