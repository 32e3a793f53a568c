"""Names of the files of a stored dataset, and where roots are.

The layout is release 1.0's, so that either side reads what the other wrote::

    <root>/<dataset id>/
      images.hdf5  task_labels/<task>.npy  splits/*.txt  original_splits/*.txt
      annotations.csv  info.yaml  LICENSE  manifest.json  [masks/*.tiff]
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from medimeta._files import as_path

IMAGES = "images.hdf5"
IMAGES_DATASET = "images"
TIFF_IMAGES = "images"
LABELS = "task_labels"
SPLITS_FOLDER = "splits"
ORIGINAL_SPLITS_FOLDER = "original_splits"
ANNOTATIONS = "annotations.csv"
INFO = "info.yaml"
LICENCE = "LICENSE"
MANIFEST = "manifest.json"
MASKS = "masks"

_IMAGE_NAME = re.compile(r"images/([0-9]{6,18})\.tiff?")


def default_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the root folder: the one given, else ``$MEDIMETA_ROOT``, else ``./data``. Nothing is made.

    Examples
    --------
    >>> default_root("somewhere").name
    'somewhere'
    """
    return as_path(root, "root") if root is not None else Path(os.environ.get("MEDIMETA_ROOT") or "data")


def stem(index: int) -> str:
    """Return the file stem of a sample.

    Examples
    --------
    >>> stem(12)
    '000012'
    """
    return f"{index:06d}"


def image_name(index: int) -> str:
    """Return the name by which splits and annotations call a sample; the TIFF file itself need not exist.

    Examples
    --------
    >>> image_name(12)
    'images/000012.tiff'
    """
    return f"images/{stem(index)}.tiff"


def image_index(name: str) -> int:
    """Return the index of a sample from its name.

    Raises
    ------
    ValueError
        The name is not of the form ``images/000000.tiff``.

    Examples
    --------
    >>> image_index("images/000012.tiff")
    12
    """
    match = _IMAGE_NAME.fullmatch(name.strip().replace("\\", "/"))
    if match is None:
        raise ValueError(f"expected a name such as images/000000.tiff, got {name!r}")
    return int(match[1])


def split_text(indices: Sequence[int]) -> str:
    """Return the text of a split file: one image name a line, no newline at the end, as release 1.0 has it."""
    return "\n".join(image_name(index) for index in indices)
