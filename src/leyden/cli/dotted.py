"""Names written `module:name`, imported when they are used: what a command does not need does not slow it down."""

import importlib
from typing import Any

from leyden.core.errors import ConfigurationError


def load(dotted: str) -> Any:
    """Raises ConfigurationError when the module cannot be imported or has no such name."""
    module_name, _, name = dotted.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(f"{dotted} could not be imported: {error}.") from error
    if not hasattr(module, name):
        raise ConfigurationError(f"There is no '{name}' in {module_name}. Correct {dotted}.")
    return getattr(module, name)
