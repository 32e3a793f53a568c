"""Room on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(root: Path) -> int:
    """Return how many bytes are free where the root is, or would be."""
    place = root.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def room(count: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> room(640), room(2_400_000), room(48_000_000_000)
    ('0.6 kB', '2.4 MB', '48.0 GB')
    """
    if count < 5e4:  # 0.0 MB would say nothing
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
