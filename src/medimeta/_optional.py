"""Optional libraries: which extra brings each, and a hint where one is missing."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from medimeta.errors import MissingDependencyError

EXTRA_OF = {
    "PIL": "build",
    "pydicom": "build",
    "nibabel": "build",
    "openpyxl": "build",
    "distributed": "dask",
    "pyarrow": "parquet",
    "torch": "torch",
    "timm": "train",
    "lightning": "train",
    "safetensors": "train",
    "jinja2": "report",
    "requests": "download",
    "tenacity": "download",
}
TRAINING = ("torch", "timm", "lightning", "safetensors")
"""What every training needs."""
OF_OTHERS = {"torchcross": "torchcross==0.0.6", "tensorboard": "tensorboard"}  # no extra brings these


def missing_dependency(error: ModuleNotFoundError) -> MissingDependencyError | None:
    """Return the error that says what brings a missing library; None where nothing that is known here does.

    Examples
    --------
    >>> print(missing_dependency(ModuleNotFoundError(name="timm.models")))
    this needs timm, which is not installed. Install it with: pip install 'medimeta[train]'
    """
    library = (error.name or "").split(".")[0]
    if library in EXTRA_OF:
        way_out = f"'medimeta[{EXTRA_OF[library]}]'"
    elif library in OF_OTHERS:
        way_out = OF_OTHERS[library]
    else:
        return None
    return MissingDependencyError(
        f"this needs {library}, which is not installed. Install it with: pip install {way_out}"
    )


def ask_for(*libraries: str) -> None:
    """See that libraries are installed, without importing them: before seconds are spent on others.

    Raises
    ------
    MissingDependencyError
        One is not installed; it says which extra brings it.

    Examples
    --------
    >>> ask_for("json", "timm")
    """
    for library in libraries:
        try:
            found = importlib.util.find_spec(library) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            error = ModuleNotFoundError(f"No module named {library!r}", name=library)
            raise missing_dependency(error) or error


def require(module: str) -> ModuleType:
    """Import a module of an optional library, or say which extra brings it.

    Raises
    ------
    MissingDependencyError
        The library is not installed.

    Examples
    --------
    >>> require("json").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing_dependency(error) or error from None
