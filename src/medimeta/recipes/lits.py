"""Organ slices: the CT volumes of LiTS with organ boxes, of which the three ``organs_*`` datasets are made.

``LITS Challenge/Training Batch {1,2}/volume-N.nii``, each with a ``segmentation-N.nii`` of the liver (1) and its
tumours (2), and ``LITS-Challenge-Test-Data/test-volume-N.nii``. The boxes are a download of their own: two zips in the
folder ``annotations for lits``, of ``segmentation-N.txt`` and ``test-segmentation-N.txt``. A line of these is an organ,
a number, and first and last voxel along x, y and z; lines end in CRLF (seen).

- Where the three voxel sizes are 1, whoever wrote the file did not know them: such volumes are dropped.
- ``test-volume-59.nii`` has its second and third axis swapped; its boxes (seen) are those of the volume put right.

All is found by file names, whatever the folders are called. A volume is read once, for all organs in all planes.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from PIL import Image

from medimeta.catalogue.schema import SPLITS
from medimeta.errors import DamagedSourceError, SourceError, TableError
from medimeta.recipes.boxes import ratio_cut
from medimeta.recipes.lits_boxes import BOUNDS, OrganBox, Slice, misfits, read_boxes, slice_of
from medimeta.recipes.pixels import NEAREST, Scaled, resize
from medimeta.recipes.recipe import Listing, Options, Pixels, Recipe, Rendered, Sample
from medimeta.recipes.splits import TRAIN_VAL, random_split
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.nifti import Plane, Volume, VolumeHeader, open_volume, read_header

PLANES = {"organs_axial": 2, "organs_coronal": 1, "organs_sagittal": 0}  # dataset to the axis that it is cut across
WINDOW_WIDTH, WINDOW_LEVEL = 400, 50  # Hounsfield units
LIVER = 1  # in segmentations; what is above is tumour
LAST_OF_BATCH_1 = 27
SWAPPED = {"test-volume-59": (0, 2, 1)}  # volume to the order of axes that puts it right
AS_STORED = (0, 1, 2)
_VOLUME_FILE = re.compile(r"(test-)?volume-\d+\.nii")

# Folder as downloaded, names of the archive, and two files by which the tree is known in a folder of another name.
DOWNLOADS = (
    ("Training Batch 1", ("Training_Batch1.zip", "Training Batch 1.zip"), ("volume-0.nii", "segmentation-0.nii")),
    ("Training Batch 2", ("Training_Batch2.zip", "Training Batch 2.zip"), ("volume-28.nii", "segmentation-28.nii")),
    ("LITS-Challenge-Test-Data", ("LITS-Challenge-Test-Data.zip",), ("test-volume-0.nii", "test-volume-1.nii")),
    (
        "annotations_of_training_set",
        ("annotations_of_training_set.zip",),
        ("segmentation-0.txt", "segmentation-1.txt"),
    ),
    (
        "annotations_of_testing_set",
        ("annotations_of_testing_set.zip",),
        ("test-segmentation-0.txt", "test-segmentation-1.txt"),
    ),
)
Group = tuple[str, int]
"""A volume: its split in the source, and its number."""


@dataclass(frozen=True)
class _Volume:
    """A volume with boxes, as far as header and box file tell."""

    group: Group
    name: str
    member: str
    segmentation: str | None
    header: VolumeHeader
    boxes: tuple[OrganBox, ...]

    @property
    def original_filepath(self) -> str:
        split, number = self.group
        if split == "test":
            return f"LITS-Challenge-Test-Data/{self.name}.nii"
        return f"LITS Challenge/Training Batch {1 if number <= LAST_OF_BATCH_1 else 2}/{self.name}.nii"


class Lits(Recipe):
    """Window, cut of the organ in the middle of its box, resize; order by split, volume and line of the box file."""

    name = "lits"
    way_out = "Check that both downloads, the volumes and the boxes, are whole; fetch again what is not."
    original = Original(
        "LiTS with organ boxes",
        (
            *(Part((), frozenset(files), mount=folder) for folder, _, files in DOWNLOADS),
            *(Part(archives, folder=folder, mount=folder) for folder, archives, _ in DOWNLOADS),
        ),
    )

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the boxes of all volumes, whose headers are read; each box is three samples, one a plane."""
        files = source.by_tail(1)
        listing = Listing({}, dropped={dataset: [] for dataset in PLANES})
        boxes = read_boxes(source, listing.unusable)
        volumes: list[_Volume] = []
        for group in sorted(group for group, own in boxes.items() if own):
            try:
                volume = _volume(source, files, group, boxes[group], listing)
            except SourceError as error:
                listing.unusable.append(error)
                continue
            if volume is None:
                continue
            wrong = misfits(volume.boxes, volume.header, source.where(volume.member))
            listing.unusable += map(TableError, wrong)
            if not wrong:
                volumes.append(volume)
        named = {f"{_name(group)}.nii" for group in boxes}
        listing.unnamed = [
            f"{source.where(files[tail])}: has no boxes"
            for tail in sorted(files)
            if _VOLUME_FILE.fullmatch(tail) and tail not in named
        ]
        splits = _splits(volume.group for volume in volumes)
        volumes.sort(key=lambda volume: (SPLITS.index(splits[volume.group]), volume.group))
        for dataset, axis in PLANES.items():
            listing.samples[dataset] = [_sample(volume, box, axis) for volume in volumes for box in volume.boxes]
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Keep the test volumes, and split the others 85/15 by volume, in the order of their numbers."""
        groups = [cast(Group, sample.group) for sample in samples]
        splits = _splits(groups)
        return [splits[group] for group in groups]

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render one sample alone; `render_all` reads a volume once for all that is cut out of it."""
        (rendered,) = _render_volume(source, [sample], options)
        return rendered

    def render_all(
        self, source: Archive, samples: Sequence[Sample], options: Options
    ) -> Iterator[Rendered | SourceError]:
        """Render samples, volume by volume."""
        for _, of_volume in itertools.groupby(samples, key=lambda sample: sample.unit):
            together = list(of_volume)
            try:
                yield from _render_volume(source, together, options)
            except SourceError as error:
                yield from [error.with_traceback(None)] * len(together)  # a traceback would keep the volume


def _name(group: Group) -> str:
    split, number = group
    return f"{'test-' if split == 'test' else ''}volume-{number}"


def _splits(groups: Iterable[Group]) -> dict[Group, str]:
    """Return the split of every volume. Samples are ordered by it, so it must not depend on their order."""
    numbered = sorted(set(groups))
    training = [group for group in numbered if group[0] == "train"]
    return {**dict.fromkeys(numbered, "test"), **dict(zip(training, random_split(training, TRAIN_VAL), strict=True))}


def _volume(
    source: Archive, files: Mapping[str, str], group: Group, boxes: tuple[OrganBox, ...], listing: Listing
) -> _Volume | None:
    """Return the volume of a box file; None, with an entry in the listing, where it is missing or dropped."""
    name, place = _name(group), boxes[0].row.place.rpartition(",")[0]
    member = files.get(f"{name}.nii")
    if member is None:
        listing.missing.append(f"{place}: {name}.nii, which has {len(boxes)} boxes here, is missing")
        return None
    header = read_header(source, member).transposed(SWAPPED.get(name, AS_STORED))
    if set(header.voxel_sizes) == {1.0}:
        for dropped in listing.dropped.values():
            dropped += [f"{box.row.place}: {name}.nii has no voxel sizes (all are 1)" for box in boxes]
        return None
    segmentation = None
    if group[0] == "train":
        segmentation = files.get(f"segmentation-{group[1]}.nii")
        if segmentation is None:
            listing.missing.append(f"{place}: segmentation-{group[1]}.nii, with the tumours of {name}.nii, is missing")
        elif (shape := read_header(source, segmentation).shape) != header.shape:
            raise DamagedSourceError(
                f"{source.where(segmentation)}: has shape {shape}, its volume {name}.nii has {header.shape}."
            )
    return _Volume(group, name, member, segmentation, header, boxes)


def _sample(volume: _Volume, box: OrganBox, axis: int) -> Sample:
    place = slice_of(box, volume.header, axis)
    return Sample(
        member=volume.member,
        original_filepath=volume.original_filepath,
        labels={"organ label": box.organ},
        original_split=volume.group[0],
        group=volume.group,
        masks=(volume.segmentation,) if volume.segmentation else (),
        annotations={
            "volume": volume.name,
            "organ_index": box.row["organ_index"],
            **{bound: box.row[bound] for bound in BOUNDS},
            "slice_index": str(place.index),
            "volume_shape": json.dumps(volume.header.shape),
            "voxel_sizes": json.dumps([round(size, 6) for size in volume.header.voxel_sizes]),
        },
        unit=volume.member,
        details=place,
    )


class _Cut(NamedTuple):
    """A finished image, and the width and height of the plane that it was cut from."""

    scaled: Scaled
    original_size: tuple[int, int]


def _render_volume(source: Archive, samples: Sequence[Sample], options: Options) -> list[Rendered]:
    """Render samples of one volume, which is let go before its segmentation is opened."""
    cuts = _cuts(source, samples, options.size)
    masks = _tumours(source, samples, options)
    return [
        Rendered(
            np.asarray(cut.scaled.image),
            cut.original_size,
            enlarged=cut.scaled.enlarged,
            masks={} if mask is None else {"_tumour": mask},
            annotations={"tumour_mask_path": "" if mask is None else "{mask}_tumour.tiff"},
        )
        for cut, mask in zip(cuts, masks, strict=True)
    ]


def _cuts(source: Archive, samples: Sequence[Sample], size: int) -> list[_Cut]:
    volume = _open(source, samples[0].member)
    cuts = []
    for sample in samples:
        place = cast(Slice, sample.details)
        plane = volume.plane(place.axis, place.index)
        image = Image.fromarray(ratio_cut(_windowed(plane), place.box, place.ratio))
        cuts.append(_Cut(resize(image, size), (plane.shape[1], plane.shape[0])))
    return cuts


def _tumours(source: Archive, samples: Sequence[Sample], options: Options) -> list[Pixels | None]:
    """Return the tumours on each slice, cut as the image is; release 1.0 left them uncut."""
    if not samples[0].masks:
        return [None] * len(samples)
    volume = _open(source, samples[0].masks[0])
    masks: list[Pixels | None] = []
    for sample in samples:
        place = cast(Slice, sample.details)
        tumour: Pixels = (volume.plane(place.axis, place.index) > LIVER).astype(np.uint8) * np.uint8(255)
        if not options.release_errata:
            tumour = ratio_cut(tumour, place.box, place.ratio)
        masks.append(np.asarray(Image.fromarray(tumour).resize((options.size, options.size), NEAREST)))
    return masks


def _open(source: Archive, member: str) -> Volume:
    name = member.rpartition("/")[2].casefold().removesuffix(".nii")
    return open_volume(source, member).transposed(SWAPPED.get(name, AS_STORED))


def _windowed(plane: Plane) -> Pixels:
    """Map the window to 8 bits, cutting fractions off; what is no number is black."""
    shares = np.clip((plane - (WINDOW_LEVEL - WINDOW_WIDTH / 2)) / WINDOW_WIDTH, 0, 1)
    return (np.nan_to_num(shares) * 255).astype(np.uint8)


RECIPE = Lits()
