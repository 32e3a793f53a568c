"""Optical coherence tomography and chest X-rays of children: ``ZhangLabData.zip`` (Kermany, version 3).

``CellData/OCT/{train,test}/{CNV,DME,DRUSEN,NORMAL}/<CLASS>-<patient>-<k>.jpeg``, of which oct is made, and
``CellData/chest_xray/{train,test}/{NORMAL,PNEUMONIA}/{NORMAL,BACTERIA,VIRUS}-<patient>-<k>.jpeg``, of which pneumonia
is made. Most images are grey, some RGB; some chest X-rays are smaller than 224 pixels.

The chest X-rays also come as ``ChestXRay2017.zip``. Copies that others pass on may have a third folder, ``val``, or
file names that tell no patients: the images of the first are named as unknown, the second cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from medimeta.errors import LabelError
from medimeta.recipes.pixels import pad, render_image, resize, thumbnail
from medimeta.recipes.recipe import Label, Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_train
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import is_image

SPLITS = ("train", "test")
MOUNTS = {"OCT": "oct", "chest_xray": "pneumonia"}
URGENT = frozenset({"CNV", "DME"})

_ARCHIVE = "ZhangLabData.zip"
_NAME = re.compile(r"(?P<prefix>[a-z]+)-(?P<patient>\d{1,18})-", re.ASCII | re.IGNORECASE)


class Kermany(Recipe):
    """Grey, pad; oct thumbnail, pneumonia resize.

    Order by paths as plain strings, test before train; the source's test images, the rest 85/15 by patient.
    """

    name = "kermany"
    way_out = (
        "Images are split by patient, whom their names must tell. Fetch the original download: copies that others pass "
        "on are renamed."
    )
    original = Original(
        "the Kermany OCT and chest X-ray images",
        (
            Part((_ARCHIVE,), frozenset(SPLITS), "OCT", mount="OCT", feeds=("oct",)),
            Part(
                (_ARCHIVE, "ChestXRay2017.zip"),
                frozenset(SPLITS),
                "chest_xray",
                mount="chest_xray",
                feeds=("pneumonia",),
            ),
        ),
    )

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images below the folders of splits and classes."""
        listing = Listing({dataset: [] for dataset in MOUNTS.values()})
        for member in source.members:
            if not is_image(member):
                continue
            mount, *folders, name = member.split("/")
            if len(folders) != 2 or folders[0].casefold() not in SPLITS:
                expected = " or ".join(f"{split}/<class>" for split in SPLITS)
                listing.unnamed.append(f"{source.where(member)}: is not directly in {expected}")
            elif match := _NAME.match(name):
                split, folder = folders[0].casefold(), folders[1].upper()
                listing.samples[MOUNTS[mount]].append(
                    Sample(
                        member=member,
                        original_filepath=f"{split}/{folder}/{name}",
                        labels=_labels(mount, folder, match["prefix"].upper()),
                        original_split=split,
                        group=int(match["patient"]),
                        annotations={"patient_id": match["patient"]},
                    )
                )
            else:
                expected = f"expected a name such as {folders[1]}-1016042-1.jpeg"
                listing.unusable.append(LabelError(f"{source.where(member)}: {expected}"))
        for samples in listing.samples.values():
            samples.sort(key=lambda sample: sample.original_filepath)
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the test images of the source, and split the rest by patient."""
        return split_train(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image."""
        scale = thumbnail if sample.member.startswith("OCT/") else resize
        return render_image(source, sample.member, options, "L", square=pad, scale=scale)


def _labels(mount: str, folder: str, prefix: str) -> dict[str, Label]:
    if mount == "OCT":
        return {"disease class": folder, "urgent referral": "YES" if folder in URGENT else "NO"}
    return {"pneumonia presence": folder, "disease class": prefix}


RECIPE = Kermany()
