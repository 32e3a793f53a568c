"""Imports of optional libraries, with a hint that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from medimeta.errors import MissingDependencyError


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Parameters
    ----------
    module : str
        Dotted name to import.
    extra : str
        The extra of this package that installs it.

    Returns
    -------
    types.ModuleType
        The imported module.

    Raises
    ------
    MissingDependencyError
        The library is not installed.

    Examples
    --------
    >>> require("json", extra="build").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise  # the library is there but broken: its own message is the better one
        raise MissingDependencyError(
            f"this needs {module.split('.')[0]}, which is not installed. "
            f"Install it with: pip install 'medimeta[{extra}]'"
        ) from None
