"""Write synthetic originals.

The images carry a learnable signal of their labels, but no medical content. They are for demos and tests; a model
trained on them says nothing about patients.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from pathlib import Path

from medimeta._optional import require
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.errors import UsageError

SMALLEST = 5  # images per class that still reach every split


def available() -> tuple[str, ...]:
    """Return the ids of the datasets whose originals can be imitated: those that can be built."""
    return tuple(card.id for card in default_catalogue().datasets() if card.recipe is not None)


def write_originals(
    datasets: Iterable[str], folder: str | os.PathLike[str], *, images_per_class: int = 20, seed: int = 0
) -> tuple[Path, ...]:
    """Write the synthetic originals of several datasets into one folder; what several are made of is written once.

    Examples
    --------
    >>> [path.name for path in write_originals(["oct", "pneumonia"], getfixture("tmp_path"), images_per_class=5)]
    ['ZhangLabData.zip']
    """
    catalogue = default_catalogue()
    first = {catalogue.dataset(name).recipe: name for name in reversed(tuple(datasets))}
    paths = [write_original(name, folder, images_per_class=images_per_class, seed=seed) for name in first.values()]
    return tuple(path for written in reversed(paths) for path in written)


def write_original(
    dataset: str, folder: str | os.PathLike[str], *, images_per_class: int = 20, seed: int = 0
) -> tuple[Path, ...]:
    """Write a synthetic original of a dataset.

    Parameters
    ----------
    dataset : str
        Id of the dataset.
    folder : path
        Where the archive goes; made if missing.
    images_per_class : int
        How many images each class gets.
    seed : int
        Seed of the images: the same seed gives the same bytes.

    Returns
    -------
    tuple of Path
        What was written into the folder, called as the download is: archives, folders, tables.

    Raises
    ------
    UnknownNameError, UsageError
        A dataset that does not exist or cannot be built yet; too few images.

    Examples
    --------
    >>> [path.name for path in write_original("pbc", getfixture("tmp_path"), images_per_class=5)]
    ['PBC_dataset_normal_DIB.zip']
    """
    require("PIL")
    card = default_catalogue().dataset(dataset)
    if card.id not in available():
        raise UsageError(f"{card.id} has no synthetic original yet. There are: {', '.join(available())}.")
    if images_per_class < SMALLEST:
        raise UsageError(f"images_per_class must be at least {SMALLEST}, got {images_per_class}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"medimeta.synthetic.{card.recipe}")
    paths: tuple[Path, ...] = module.write(folder, images_per_class, seed)
    return paths
