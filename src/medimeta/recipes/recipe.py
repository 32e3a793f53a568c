"""What a recipe is: the few lines that only one original download needs.

A recipe says where its original's tree is, lists the samples in the release's order, splits them, and turns one into
pixels. Everything else (workers, writing, checking, reporting) is the engine's.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import DatasetCard
from medimeta.errors import UsageError
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original

Pixels = npt.NDArray[np.uint8]

Label = str | int | frozenset[str]
"""A label's name, its stored integer, or (multi-label) the names of all labels that are set."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample, as far as tables and file names tell: no pixels yet.

    Attributes
    ----------
    member : str
        The image's name in the original's tree.
    original_filepath : str
        The image's place in release 1.0's form, whatever the user's copy is called.
    labels : mapping of str to Label
        Task name to label.
    original_split : str
        Split of the source: ``train`` where it has none.
    masks : tuple of str
        Members that hold the masks of this image, in the source's order.
    annotations : mapping of str to str
        Further columns of ``annotations.csv``.
    """

    member: str
    original_filepath: str
    labels: Mapping[str, Label]
    original_split: str = "train"
    masks: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What became of one sample.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (S, S) or (S, S, 3)
        The finished image.
    original_size : (int, int)
        Width and height of the original in pixels.
    converted_from : str or None
        Pillow mode of the original, where it was not the mode that is stored.
    enlarged : bool
        Whether the original was smaller than S.
    masks : mapping of str to ndarray of uint8, shape (S, S)
        File stem suffix (``""`` for the sample's own mask) to binary mask, 0 or 255.
    annotations : mapping of str to str
        Columns of ``annotations.csv`` that are known only now; ``{mask}`` stands for the stem of the mask files.
    warnings : tuple of str
        What is odd about the original, but does not keep the sample from being built.
    """

    pixels: Pixels
    original_size: tuple[int, int]
    converted_from: str | None = None
    enlarged: bool = False
    masks: Mapping[str, Pixels] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Recipe(ABC):
    """Base of all recipes. Instances hold no state, so that they reach worker processes by name.

    Attributes
    ----------
    name : str
        Name of the recipe: its module below ``medimeta.recipes``, and the ``recipe`` field of cards.
    version : int
        Raised whenever the same original would give other bytes.
    original : Original
        How to recognise the download.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    original: ClassVar[Original]

    @abstractmethod
    def samples(self, source: Archive) -> dict[str, list[Sample]]:
        """List the samples of every dataset that this original feeds, in the release's order, by dataset id."""

    @abstractmethod
    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Return the split of every sample."""

    @abstractmethod
    def render(self, source: Archive, sample: Sample, size: int) -> Rendered:
        """Turn one sample into pixels.

        Raises
        ------
        SourceError
            An image is missing or does not decode.
        """


def recipe_of(card: DatasetCard) -> Recipe:
    """Return the recipe that a card names.

    Raises
    ------
    UsageError
        The dataset cannot be built by this version.
    """
    if card.recipe is None:
        raise UsageError(f"{card.id} ({card.name}) cannot be built yet: this version has no recipe for it.")
    return recipe_by_name(card.recipe)


def recipe_by_name(name: str) -> Recipe:
    """Return the recipe of the module ``medimeta.recipes.<name>``."""
    recipe: Recipe = importlib.import_module(f"medimeta.recipes.{name}").RECIPE
    return recipe
