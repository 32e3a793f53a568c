"""Peripheral blood cells: ``PBC_dataset_normal_DIB.zip``.

``PBC_dataset_normal_DIB/<class>/<CODE>_<number>.jpg``; ``ig`` stands for immature granulocyte. A hidden file
``.DS_*.jpg`` that is no image lies among the neutrophils (seen).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medimeta.recipes import pixels
from medimeta.recipes.recipe import Recipe, Rendered, Sample
from medimeta.recipes.splits import TRAIN_VAL_TEST, random_split
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original
from medimeta.sources.images import decode

FOLDERS = ("basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet")
RENAMED = {"ig": "immature granulocyte"}


class Pbc(Recipe):
    """Crop, thumbnail; order by folder after the rename, then by file name as a plain string; 70/10/20 by image."""

    name = "pbc"
    original = Original("the PBC dataset", ("PBC_dataset_normal_DIB.zip",), frozenset(FOLDERS))

    def samples(self, source: Archive) -> dict[str, list[Sample]]:
        """List the images of every class folder; names that start with a dot are skipped."""
        classes = sorted((RENAMED.get(folder.casefold(), folder.casefold()), folder) for folder in source.folders())
        return {
            "pbc": [
                Sample(
                    member=f"{folder}/{name}",
                    original_filepath=f"{cell_class}/{name}",
                    labels={"cell class": cell_class},
                )
                for cell_class, folder in classes
                for name in source.files(folder)
                if name.casefold().endswith((".jpg", ".jpeg")) and not name.startswith(".")
            ]
        }

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Split by image: the source names no patients."""
        return random_split(range(len(samples)), TRAIN_VAL_TEST)

    def render(self, source: Archive, sample: Sample, size: int) -> Rendered:
        """Render the image."""
        original = decode(source.read(sample.member), source.where(sample.member))
        colour, converted_from = pixels.to_mode(original, "RGB", source.where(sample.member))
        scaled = pixels.thumbnail(pixels.crop(colour), size)
        return Rendered(np.asarray(scaled.image), original.size, converted_from, scaled.enlarged)


RECIPE = Pbc()
