"""Peripheral blood cells: ``PBC_dataset_normal_DIB.zip``.

``PBC_dataset_normal_DIB/<class>/<CODE>_<number>.jpg``; ``ig`` stands for immature granulocyte. A hidden file
``.DS_*.jpg`` that is no image lies among the neutrophils (seen).
"""

from __future__ import annotations

from collections.abc import Sequence

from medimeta.recipes.pixels import crop, render_image, thumbnail
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_all
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part

FOLDERS = ("basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet")
RENAMED = {"ig": "immature granulocyte"}


class Pbc(Recipe):
    """Crop, thumbnail; order by folder after the rename, then by file name as a plain string; 70/10/20 by image."""

    name = "pbc"
    original = Original("the PBC dataset", (Part(("PBC_dataset_normal_DIB.zip",), frozenset(FOLDERS)),))

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images of every class folder; names that start with a dot are skipped."""
        classes = sorted((RENAMED.get(folder.casefold(), folder.casefold()), folder) for folder in source.folders())
        samples = [
            Sample(
                member=f"{folder}/{name}",
                original_filepath=f"{cell_class}/{name}",
                labels={"cell class": cell_class},
            )
            for cell_class, folder in classes
            for name in source.files(folder)
            if name.casefold().endswith((".jpg", ".jpeg")) and not name.startswith(".")
        ]
        return Listing({"pbc": samples})

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Split by image: the source names no patients."""
        return split_all(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image."""
        return render_image(source, sample.member, options, "RGB", square=crop, scale=thumbnail)


RECIPE = Pbc()
