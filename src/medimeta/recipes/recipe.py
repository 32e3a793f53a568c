"""What a recipe is: the few lines that only one original download needs.

A recipe says where its original's tree is, lists the samples in the release's order, splits them, and turns one into
pixels. Everything else (workers, writing, checking, reporting) is the engine's.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from medimeta.catalogue.schema import DatasetCard
from medimeta.errors import SourceError, UsageError
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original

Pixels = npt.NDArray[np.uint8]

Label = str | int | frozenset[str]
"""A label's name, its stored integer, or (multi-label) the names of all labels that are set."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to build, as far as a recipe may need to know.

    Attributes
    ----------
    size : int
        Side of the finished images in pixels.
    allow_partial : bool
        Whether the original may hold less than the release was made of.
    release_errata : bool
        Whether to repeat the mistakes of release 1.0 in labels and masks.
    """

    size: int = 224
    allow_partial: bool = False
    release_errata: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample, as far as tables and file names tell: no pixels yet.

    Attributes
    ----------
    member : str
        The image's name in the original's tree; where the sample is `streamed`, its name in the stream.
    original_filepath : str
        The image's place in release 1.0's form, whatever the user's copy is called.
    labels : mapping of str to Label
        Task name to label.
    original_split : str
        Split of the source: ``train`` where it has none.
    group : hashable
        What must not be torn apart by a random split, such as a patient; None: the image is a group of its own.
    masks : tuple of str
        Members that hold the masks of this image, in the source's order.
    annotations : mapping of str to str
        Further columns of ``annotations.csv``.
    unit : str
        What has to be read as a whole to get at the sample, such as a volume: samples of one unit, of all datasets, are
        rendered together. Empty where the image is a file of its own.
    streamed : bool
        Whether the image comes from the recipe's `Recipe.stream`, as it lies in a stream without random access.
    details : hashable
        What the recipe's own `Recipe.render` needs to know besides.
    """

    member: str
    original_filepath: str
    labels: Mapping[str, Label]
    original_split: str = "train"
    group: Hashable = None
    masks: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    streamed: bool = False
    details: Hashable = None


@dataclass(slots=True)
class Listing:
    """What the tables and file names of an original say.

    Attributes
    ----------
    samples : dict of str to list of Sample
        Dataset id to its samples, in the release's order.
    dropped : dict of str to list of str
        Dataset id to what the rules leave out, each with its place and reason.
    missing : list of str
        Rows of tables whose image is not there, with their places. They have no sample.
    unnamed : list of str
        Images that no row names, with their places. They have no sample.
    unusable : list of SourceError
        Rows and images that cannot be used, each the error that it would be alone. They have no sample, and no build
        leaves them out.
    """

    samples: dict[str, list[Sample]]
    dropped: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    unusable: list[SourceError] = field(default_factory=list)


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
    """Base of all recipes. Instances reach worker processes by pickle and hold nothing that changes.

    Attributes
    ----------
    name : str
        Name of the recipe: its module below ``medimeta.recipes``, and the ``recipe`` field of cards.
    version : int
        Raised whenever the same original would give other bytes.
    original : Original
        How to recognise the download.
    way_out : str
        What to do about rows and images that cannot be used.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    original: ClassVar[Original]
    way_out: ClassVar[str] = "Fetch the original download again: as published, it has none of these."

    @abstractmethod
    def listing(self, source: Archive, options: Options) -> Listing:
        """List the samples of every dataset that this original feeds, reading tables and names alone.

        What is wrong with single rows and images goes into the listing, so that all of it is told at once.

        Raises
        ------
        SourceError
            A table is missing or lacks columns.
        """

    @abstractmethod
    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Return the split of every sample."""

    @abstractmethod
    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Turn one sample into pixels.

        Raises
        ------
        SourceError
            An image is missing or does not decode.
        """

    def render_all(
        self, source: Archive, samples: Sequence[Sample], options: Options
    ) -> Iterator[Rendered | SourceError]:
        """Render samples in turn; what cannot be rendered yields its error, so that all of it is told at once.

        Samples of one unit come together; a recipe that reads a unit once for all of them does so here.
        """
        for sample in samples:
            try:
                yield self.render(source, sample, options)
            except SourceError as error:
                yield error

    def stream(self, source: Archive) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of every image that lies in a stream, each stream once and in its own order.

        Raises
        ------
        DamagedSourceError
            A stream stops short or cannot be trusted.
        """
        return iter(())


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
