"""Breast ultrasound: ``Dataset_BUSI.zip``.

``Dataset_BUSI_with_GT/{benign,malignant,normal}/<class> (k).png``, each with a mask ``<class> (k)_mask.png``; some have
further masks ``_mask_1.png``, ... Images are RGB that show grey; masks are 1-bit, RGB or RGBA (all seen).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medimeta.errors import LabelError, SourceError, SourceNotFoundError
from medimeta.recipes import pixels
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_all
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import decode

CLASSES = ("benign", "malignant", "normal")
_MASK = re.compile(r"^(?P<stem>.+)_mask(?:_(?P<number>\d+))?$")


class Bus(Recipe):
    """Grey, pad, resize; order by folder, then by file name as a plain string; 70/10/20 by image."""

    name = "bus"
    way_out = "bus needs at least one mask for every image, and an image for every mask. Fetch the archive again."
    original = Original("the BUSI dataset", (Part(("Dataset_BUSI.zip",), frozenset(CLASSES)),))

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images of the three class folders, each with its masks."""
        listing = Listing({"bus": []})
        for folder in source.folders():
            listing.samples["bus"] += _folder_samples(source, folder, listing.unusable)
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Split by image: the source names no patients."""
        return split_all(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image, release 1.0's mask (the first alone) and the union of all masks."""
        masks = [decode(source.read(mask), source.where(mask)) for mask in sample.masks]
        first = pixels.union_mask(masks[:1], options.size)
        rendered_masks = {"": first}
        if len(masks) > 1 and not options.release_errata:
            rendered_masks = {"": pixels.union_mask(masks, options.size), "_first": first}
        rendered = pixels.render_image(
            source,
            sample.member,
            options,
            "L",
            square=pixels.pad,
            scale=pixels.resize,
            masks=rendered_masks,
            annotations={"mask_path": "{mask}_first.tiff" if "_first" in rendered_masks else "{mask}.tiff"},
        )
        width, height = rendered.original_size
        return replace(
            rendered,
            warnings=tuple(
                f"{source.where(name)}: is {mask.width}x{mask.height} pixels, its image {width}x{height}"
                for name, mask in zip(sample.masks, masks, strict=True)
                if mask.size != rendered.original_size
            ),
        )


def _folder_samples(source: Archive, folder: str, unusable: list[SourceError]) -> Iterator[Sample]:
    category = folder.casefold()
    images: dict[str, str] = {}
    masks: dict[str, list[tuple[int, str]]] = {}
    for name in source.files(folder):
        stem, dot, extension = name.rpartition(".")
        if extension.casefold() != "png" or not dot or name.startswith("."):
            continue
        if mask := _MASK.match(stem):
            masks.setdefault(mask["stem"], []).append((int(mask["number"] or 0), name))
        else:
            images[name] = stem
    if images and category not in CLASSES:
        expected = f"is no class of bus; expected {', '.join(CLASSES)}"
        unusable.append(LabelError(f"{source.where(folder)}: {expected}"))
        return
    for name, stem in images.items():
        own = tuple(mask for _, mask in sorted(masks.get(stem, ())))
        if not own:
            unusable.append(SourceNotFoundError(f"{source.where(f'{folder}/{name}')}: has no mask"))
            continue
        yield Sample(
            member=f"{folder}/{name}",
            original_filepath=f"{category}/{name}",
            labels={
                "case category": category,
                "malignancy": "malignant finding" if category == "malignant" else "no malignant finding",
            },
            masks=tuple(f"{folder}/{mask}" for mask in own),
            annotations={"original_mask_path": f"{category}/{own[0]}"},
        )
    for _, name in sorted(mask for stem in masks.keys() - set(images.values()) for mask in masks[stem]):
        place = source.where(f"{folder}/{name}")
        unusable.append(SourceNotFoundError(f"{place}: is the mask of an image that is missing"))


RECIPE = Bus()
