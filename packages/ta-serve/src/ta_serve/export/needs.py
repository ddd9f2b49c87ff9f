"""The optional libraries of export, and the line that names their extra."""

import importlib
from types import ModuleType

from ta_schemas import SetupError


def need(module: str, extra: str) -> ModuleType:
    """Import an optional library; SetupError names the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SetupError(f"{error.name or module} is not installed: install ta-serve[{extra}]") from None
