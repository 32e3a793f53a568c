"""What the recipes of people's own data share: which files are images, what a label means, the splits, the pixels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from PIL import Image, ImageOps

from medimeta.catalogue.own import LabelRule, OwnCard, clean
from medimeta.catalogue.schema import TaskTarget
from medimeta.recipes.pixels import crop, pad, render_image, resize
from medimeta.recipes.recipe import Label, Options, Recipe, Rendered, Sample
from medimeta.recipes.stratified import stratified_split
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original
from medimeta.sources.images import is_image

OTHER_IMAGES = (".bmp", ".dcm", ".dicom", ".gif", ".heic", ".jp2", ".ndpi", ".nii", ".nii.gz", ".svs", ".webp")
TRAIN_VAL = (85, 15)  # as release 1.0 cuts val from a source's train

_SPLIT_WORDS = {
    "train": ("train", "training", "trn", "tr"),
    "val": ("val", "valid", "validation", "validate", "dev", "development", "tune", "tuning"),
    "test": ("test", "testing", "tst", "holdout", "eval", "evaluation"),
}
_SPLIT_OF = {word: split for split, words in _SPLIT_WORDS.items() for word in words}
_EMPTY = frozenset(
    {"", "nan", "na", "n/a", "#n/a", "null", "<na>"}
)  # what spreadsheets, pandas and R write for nothing
_TRUE = frozenset({"1", "true", "yes"})
_FALSE = frozenset({"0", "false", "no"})


def _as_it_is(image: Image.Image) -> Image.Image:
    return image


_SQUARES: dict[str, Callable[[Image.Image], Image.Image]] = {"pad": pad, "crop": crop, "stretch": _as_it_is}


@dataclass(frozen=True)
class OwnRecipe(Recipe):
    """Base of both recipes; an instance holds its card, which is frozen, and nothing else."""

    card: OwnCard

    original = Original("own data", ())
    way_out = "Put these right, or take them out of the source."

    @property
    def look(self) -> tuple[int, str]:
        """What the card says of pixels, for `Sample.details`: a broken build goes on only where that is the same."""
        return self.card.channels, self.card.square

    @property
    def subject_column(self) -> str | None:
        """The annotation that tells what belongs together, where the card names a group."""
        return None

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep a source's train, val and test; make what is missing.

        A source without any split is split at random by group, or image, and by the label of the primary task. Of a
        source with two parts the second is test, as in release 1.0, and val is cut from train.
        """
        given = [sample.original_split for sample in samples]
        parts = set(given)
        if len(parts) == 3 or "train" not in parts:
            return given
        splits = ["test"] * len(samples)
        kept = [index for index, split in enumerate(given) if split == "train"]
        own = [samples[index] for index in kept]
        primary = next(iter(self.card.rules))
        made = stratified_split(
            [(index,) if sample.group is None else sample.group for index, sample in zip(kept, own, strict=True)],
            [sample.labels[primary] for sample in own],
            self.card.ratios if len(parts) == 1 else TRAIN_VAL,
        )
        for index, split in zip(kept, made, strict=True):
            splits[index] = split
        return splits

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image, upright."""
        square = _SQUARES[self.card.square]
        return render_image(
            source,
            sample.member,
            options,
            "L" if self.card.channels == 1 else "RGB",
            square=lambda image: square(upright(image)),
            scale=resize,
        )

    def images(self, source: Archive) -> tuple[str, ...]:
        """Return the members that are images; what is hidden, or skipped by the card, is none."""
        return tuple(member for member in source.members if is_image(member) and self._wanted(member))

    def unreadable(self, source: Archive) -> tuple[str, ...]:
        """Return the members that are images in formats that are not read."""
        return tuple(
            member for member in source.members if member.casefold().endswith(OTHER_IMAGES) and self._wanted(member)
        )

    def _wanted(self, member: str) -> bool:
        parts = clean(member).casefold().split("/")
        names = ("/".join(parts), parts[-1])
        return not any(part.startswith(".") for part in parts) and not any(
            fnmatchcase(name, clean(pattern).casefold()) for pattern in self.card.skip for name in names
        )


def upright(image: Image.Image) -> Image.Image:
    """Turn a photograph as its camera was held."""
    turned: Image.Image = ImageOps.exif_transpose(image)
    return turned


def split_of(word: str) -> str | None:
    """Return the split that a word means, or None.

    Examples
    --------
    >>> split_of("Training"), split_of("hold-out"), split_of("fold 3")
    ('train', 'test', None)
    """
    return _SPLIT_OF.get(re.sub(r"[\s_-]+", "", clean(word)).casefold())


def plain_number(cell: str) -> str:
    """Return a whole number without the fraction that a table with gaps gives it.

    Examples
    --------
    >>> plain_number("2.0"), plain_number("2.5"), plain_number("v2.0")
    ('2', '2.5', 'v2.0')
    """
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", clean(cell))


def says_nothing(cell: str) -> bool:
    """Whether a cell is empty, or says so.

    Examples
    --------
    >>> says_nothing(" "), says_nothing("NaN"), says_nothing("none")
    (True, True, False)
    """
    return clean(cell).casefold() in _EMPTY


def label_of(rule: LabelRule, said: str) -> Label | None:
    """Return the label that a folder's name or a cell means, None where it says nothing.

    What the rule does not know comes back as it is.
    """
    said = plain_number(said)
    if rule.labels is not None and said in rule.labels:
        if rule.target is not TaskTarget.ORDINAL:
            return rule.labels[said]
        return int(said) if rule.grades is not None else list(rule.labels).index(said)
    if says_nothing(said):
        return None
    numbered = rule.target is TaskTarget.ORDINAL and (rule.labels is None or rule.grades is not None)
    return int(said) if numbered and re.fullmatch(r"[+-]?\d+", said) else said


def labels_between(rule: LabelRule, cell: str, separator: str) -> frozenset[str]:
    """Return the labels of a cell that may hold several, or none."""
    found = (label_of(rule, part) for part in clean(cell).split(separator))
    return frozenset(str(label) for label in found if label is not None)


def is_set(cell: str) -> bool | None:
    """Return whether a cell of a column of 0 and 1 says yes; None where it says neither.

    Examples
    --------
    >>> is_set("1.0"), is_set("False"), is_set("-1")
    (True, False, None)
    """
    said = plain_number(cell).casefold()
    return True if said in _TRUE else False if said in _FALSE else None


def natural(label: Any) -> tuple[int, int, str]:
    """Return what sorts labels: numbers by value, before words."""
    text = str(label)
    return (0, int(text), "") if re.fullmatch(r"[+-]?\d+", text) else (1, 0, text)
