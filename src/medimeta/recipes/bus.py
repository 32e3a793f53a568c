"""Breast ultrasound: ``Dataset_BUSI.zip``.

``Dataset_BUSI_with_GT/{benign,malignant,normal}/<class> (k).png``, each with a mask ``<class> (k)_mask.png``; some have
further masks ``_mask_1.png``, ... Images are RGB that show grey; masks are 1-bit, RGB or RGBA (all seen).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medimeta.errors import LabelError, SourceNotFoundError, bullet_list
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
    original = Original("the BUSI dataset", (Part(("Dataset_BUSI.zip",), frozenset(CLASSES)),))

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images of the three class folders, each with its masks."""
        return Listing({"bus": [sample for folder in source.folders() for sample in _folder_samples(source, folder)]})

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


def _folder_samples(source: Archive, folder: str) -> Iterator[Sample]:
    category = folder.casefold()
    images: list[str] = []
    masks: dict[str, list[tuple[int, str]]] = {}
    for name in source.files(folder):
        stem, dot, extension = name.rpartition(".")
        if extension.casefold() != "png" or not dot or name.startswith("."):
            continue
        if mask := _MASK.match(stem):
            masks.setdefault(mask["stem"], []).append((int(mask["number"] or 0), name))
        else:
            images.append(name)
    if images and category not in CLASSES:
        raise LabelError(f"{source.where(folder)}: is no class of bus; expected {', '.join(CLASSES)}.")
    stems = {name.rpartition(".")[0] for name in images}
    problems = [
        f"{source.where(f'{folder}/{name}')}: has no mask" for name in images if name.rpartition(".")[0] not in masks
    ]
    problems += [
        f"{source.where(f'{folder}/{name}')}: is the mask of an image that is missing"
        for stem in sorted(masks.keys() - stems)
        for _, name in masks[stem]
    ]
    if problems:
        raise SourceNotFoundError(
            f"bus needs at least one mask for every image, and an image for every mask:\n{bullet_list(problems)}"
        )
    for name in images:
        own = tuple(mask for _, mask in sorted(masks[name.rpartition(".")[0]]))
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


RECIPE = Bus()
