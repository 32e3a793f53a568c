"""Room on the disk."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

ROW_BYTES = 1024  # of tables, journal and manifest, a sample
FILE_BYTES = 4096  # a TIFF file's head, and what a file system gives it more than it needs


def stored_bytes(samples: int, channels: int, size: int, *, tiff: bool, masks: int = 0) -> int:
    """Return how many bytes a dataset takes on the disk, with images of `size` pixels.

    Examples
    --------
    >>> room(stored_bytes(780, channels=1, size=224, tiff=False, masks=780))
    '82.3 MB'
    """
    image = channels * size**2
    files = masks * (size**2 + FILE_BYTES) + (samples * (image + FILE_BYTES) if tiff else 0)
    return samples * (image + ROW_BYTES) + files


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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
