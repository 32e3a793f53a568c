"""Paths that people give, and files that are either whole or not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from medimeta._numbers import shown
from medimeta.errors import UsageError


def as_path(value: Any, what: str) -> Path:
    """Return what was given as a path.

    Raises
    ------
    UsageError
        It is none, or one that no system has.

    Examples
    --------
    >>> as_path("data/bus", "root").name
    'bus'
    >>> as_path(3, "root")
    Traceback (most recent call last):
    ...
    medimeta.errors.UsageError: root must be a path, got 3.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or "\0" in text:
        raise UsageError(f"{what} must be a path, got {shown(value)}.")
    return Path(text)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
