"""What computed a figure, for records."""

from __future__ import annotations

import platform
from importlib.metadata import version

from medimeta._version import __version__

LIBRARIES = ("torch", "timm", "lightning", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of what computed the figures."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def package() -> str:
    """Return this package's name and version."""
    return f"medimeta {__version__}"
