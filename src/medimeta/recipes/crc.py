"""Colorectal cancer histology: ``NCT-CRC-HE-100K.zip`` and ``CRC-VAL-HE-7K.zip``.

``<archive name>/<CODE>/<name>.tif``, nine codes of tissue, 224x224 pixels and RGB already. The headers of the TIFF
files carry odd tags. The source calls its second archive a validation set; release 1.0 tests on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.recipes.pixels import crop, render_image, thumbnail
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_train
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import is_image

TASK = "tissue class"
CODES = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
ORIGINAL_SPLITS = {"NCT-CRC-HE-100K": "train", "CRC-VAL-HE-7K": "val"}


class Crc(Recipe):
    """Stored as it is; order by archive, folder and name; 100K is split 85/15 by image, 7K is test."""

    name = "crc"
    original = Original(
        "NCT-CRC-HE",
        tuple(
            # Both have the same folders: only their own names tell them apart.
            Part((f"{name}.zip",), frozenset(code.casefold() for code in CODES), folder=name, mount=name)
            for name in ORIGINAL_SPLITS
        ),
    )

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images of every class folder, those of 100K first."""
        return Listing({"crc": [sample for archive in ORIGINAL_SPLITS for sample in _archive_samples(source, archive)]})

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Split by image: the source names no patients."""
        return split_train(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image: at 224 pixels neither cropping nor the thumbnail changes it."""
        return render_image(source, sample.member, options, "RGB", square=crop, scale=thumbnail)


def _archive_samples(source: Archive, archive: str) -> Iterator[Sample]:
    labels = {label.rpartition("(")[2].rstrip(")"): label for label in default_catalogue().task(f"crc/{TASK}").classes}
    for code, folder in sorted((folder.upper(), folder) for folder in source.folders(archive)):
        for name in source.files(f"{archive}/{folder}"):
            if is_image(name):
                yield Sample(
                    member=f"{archive}/{folder}/{name}",
                    original_filepath=f"{archive}/{code}/{name}",
                    labels={TASK: labels.get(code, code)},
                    original_split=ORIGINAL_SPLITS[archive],
                )


RECIPE = Crc()
