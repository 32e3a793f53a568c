"""Glaucoma: the Chákṣu images, ``Train.zip`` and ``Test.zip``.

Below ``Train`` and ``Test``:

- ``1.0_Original_Fundus_Images/{Bosch,Forus,Remidio}/<name>``, with the extensions ``.JPG``, ``.jpg`` and ``.png``.
- ``4.0_OD_CO_Fusion_Images``: experts' outlines of optic disc and cup, and what fusing them gives, by STAPLE among
  others: a map of three grey levels.
- ``6.0_Glaucoma_Decision``: ``Glaucoma_Decision_Comparison_<device>_majority.csv`` with the opinions of five experts
  and that of the majority, and ``{Majority,Mean,Median}/<device>.csv``.

Names in tables, of maps and of images differ in extension and case, and some go on after a ``-``. A folder of ``Test``
is spelt ``Remedio``, a verdict ``GLAUCOMA  SUSUPECT``, and the column of the verdict has two names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from PIL import Image

from medimeta.errors import SourceError, SourceNotFoundError, TableError
from medimeta.recipes import pixels
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_train
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import decode, is_image, without_suffix
from medimeta.sources.tables import Row, read_csv

PARTS = {"Train": "train", "Test": "test"}
IMAGES, MAPS, DECISIONS = "1.0_Original_Fundus_Images", "4.0_OD_CO_Fusion_Images", "6.0_Glaucoma_Decision"
DEVICES = {"bosch": "Bosch", "forus": "Forus", "remidio": "Remidio", "remedio": "Remidio"}
METHODS = ("majority", "mean", "median", "staple")
COMPARISON = "comparison"
IMAGE, DECISION = "image", "decision"  # what the columns of all tables are called here
VERDICTS = {"NORMAL": "Normal", "GLAUCOMA SUSPECT": "Suspect", "GLAUCOMA SUSUPECT": "Suspect"}
LEVELS = (85, 170)  # a map's two nested regions are where it is brighter; the first is the larger

_DEVICE = re.compile("|".join(DEVICES))
_PATIENT = re.compile(r"(?<![a-z0-9])P\d+", re.IGNORECASE)
_Other = TypeVar("_Other")


class Glaucoma(Recipe):
    """Pad, thumbnail; order by part, device, file name as a string; Train 85/15 by image, Test is test."""

    name = "glaucoma"
    original = Original(
        "the Chákṣu database",
        tuple(
            Part((f"{part}.zip",), frozenset({IMAGES.casefold(), DECISIONS.casefold()}), folder=part, mount=part)
            for part in PARTS
        ),
    )

    def listing(self, source: Archive, options: Options) -> Listing:
        """Match images, decisions and fused maps by name, part by part and device by device."""
        listing = Listing({"glaucoma": []})
        for part in PARTS:
            images = [member for member in _below(source, part, IMAGES) if is_image(member)]
            maps = [member for member in _below(source, part, MAPS) if is_image(member) and _is_staple(member)]
            tables = [member for member in _below(source, part, DECISIONS) if _kind(member)]
            if images and not maps and not options.allow_partial:
                expected = (
                    "has no fused maps of disc and cup; expected images below folders STAPLE. To build without these "
                    "masks, pass --allow-partial (allow_partial=True)."
                )
                listing.unusable.append(SourceNotFoundError(f"{source.where(f'{part}/{MAPS}')}: {expected}"))
            for device in dict.fromkeys(DEVICES.values()):
                own = ([name for name in names if _device(name) == device] for names in (images, maps, tables))
                try:
                    _Device(source, part, device, own, listing.unusable).list_into(listing, options)
                except SourceError as error:
                    listing.unusable.append(error)
            strays = [member for member in images if not _device(member)]
            listing.unnamed += [f"{source.where(member)}: lies in the folder of no device" for member in strays]
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Split Train by image, as release 1.0 did, though some names tell the patient."""
        return split_train(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image, and disc and cup where there is a map of them; release 1.0 took one for the other."""
        maps = {name: decode(source.read(name), source.where(name)) for name in sample.masks}
        regions = ("cup", "disc") if options.release_errata else ("disc", "cup")
        masks = {
            f"_{region}": pixels.union_mask([_brighter(image, level, source.where(name))], options.size)
            for name, image in maps.items()
            for region, level in zip(regions, LEVELS, strict=True)
        }
        rendered = pixels.render_image(
            source,
            sample.member,
            options,
            "RGB",
            square=pixels.pad,
            scale=pixels.thumbnail,
            masks=masks,
            annotations={f"{region}_mask_path": f"{{mask}}_{region}.tiff" for region in regions if masks},
        )
        width, height = rendered.original_size
        warnings = [
            f"{source.where(name)}: is {image.width}x{image.height} pixels, its image {width}x{height}"
            for name, image in maps.items()
            if image.size != rendered.original_size
        ]
        if not maps:
            warnings.append(f"{source.where(sample.member)}: has no fused map of disc and cup, so it gets no masks")
        return replace(rendered, warnings=tuple(warnings))


class _Device:
    """What a part holds of one device: images, fused maps and tables of decisions."""

    def __init__(
        self,
        source: Archive,
        part: str,
        device: str,
        members: Iterable[Sequence[str]],
        unusable: list[SourceError],
    ) -> None:
        self.source = source
        self.part = part
        self.device = device
        self.images, maps, tables = members
        self.maps = _paired(self.images, maps, _file)
        self.tables = {
            _kind(member): read_csv(source, member, (), rename=_column, unusable=unusable) for member in tables
        }

    def list_into(self, listing: Listing, options: Options) -> None:
        """Add the images to a listing, and what is wrong with the table that decides their labels."""
        decisive = next((kind for kind in (COMPARISON, "majority") if kind in self.tables), None)
        if decisive is None:
            if self.images and not options.allow_partial:
                expected = f"expected Glaucoma_Decision_Comparison_{self.device}_majority.csv"
                place = self.source.where(f"{self.part}/{DECISIONS}")
                problem = f"{place}: has no decisions for {self.device}; {expected}"
                listing.unusable.append(SourceNotFoundError(problem))
                return
            listing.unnamed += [f"{self.source.where(member)}: is in no table of decisions" for member in self.images]
            return
        table = self.tables[decisive]
        if absent := [column for column in (IMAGE, DECISION) if column not in table.columns]:
            lacks = f"has no column for {' and '.join(absent)}: {', '.join(table.columns)}"
            listing.unusable.append(TableError(f"{table.where}: {lacks}"))
            return
        names = [_stem(row[IMAGE]) for row in table]
        twice = [row for row, name in zip(table, names, strict=True) if names.count(name) > 1]
        listing.unusable += [TableError(f"{row.place}: {row[IMAGE]} is there more than once") for row in twice]
        listing.unusable += [TableError(f"{row.place}: has no decision") for row in table if not row[DECISION]]
        rows = {
            kind: _paired(self.images, table.rows, lambda row: row[IMAGE])
            for kind, table in self.tables.items()
            if IMAGE in table.columns
        }
        for member in self.images:
            if member in rows[decisive]:
                said = {kind: own[member] for kind, own in rows.items() if member in own}
                if verdict := said[decisive][DECISION]:
                    listing.samples["glaucoma"].append(self._sample(member, verdict, said))
            else:
                listing.unnamed.append(f"{self.source.where(member)}: is in no table of decisions")
        used = {row.place for row in (*rows[decisive].values(), *twice)}
        listing.missing += [f"{row.place}: {row[IMAGE]} is missing" for row in table if row.place not in used]

    def _sample(self, member: str, verdict: str, said: Mapping[str, Row]) -> Sample:
        name = _file(member)
        patient = _PATIENT.search(name)
        annotations = {"device": self.device, "patient_id": patient[0].upper() if patient else ""}
        for kind, row in said.items():
            for column in [column for column in row.cells if column not in ("", IMAGE)]:
                # The experts' columns stand for themselves; what a method finds is told by the method's name.
                is_opinion = kind == COMPARISON and column != DECISION
                annotations[column if is_opinion else f"{kind}_{column}"] = row[column]
        masks = (self.maps[member],) if member in self.maps else ()
        return Sample(
            member=member,
            original_filepath=f"{self.part}/{IMAGES}/{self.device}/{name}",
            labels={"Glaucoma suspect": VERDICTS.get(" ".join(verdict.upper().split()), verdict)},
            original_split=PARTS[self.part],
            masks=masks,
            annotations=annotations | ({"original_mask_path": masks[0]} if masks else {}),
        )


def _below(source: Archive, part: str, folder: str) -> list[str]:
    """Return the members below a folder of a part, whatever the folder's case."""
    start = f"{part}/{folder}/".casefold()
    return [member for member in source.members if member.casefold().startswith(start)]


def _is_staple(member: str) -> bool:
    return "staple" in member.casefold()


def _device(member: str) -> str:
    """Return the device that a folder of a member is called after, or a table; empty where there is none."""
    found = _DEVICE.search(member.casefold())
    return DEVICES[found[0]] if found else ""


def _kind(member: str) -> str:
    """Return what a table of decisions tells: the comparison of experts, or a method of fusing; empty for no table."""
    *_, folder, name = member.casefold().split("/")
    if not name.endswith(".csv"):
        return ""
    method = next((method for method in METHODS if method in f"{folder}/{name}"), "")
    if COMPARISON not in name:
        return method
    return COMPARISON if method == "majority" else f"{COMPARISON}_{method}"


def _column(name: str) -> str:
    """Return a column's name in lower case with ``_``: ``Expert.1`` is ``expert_1``."""
    plain = re.sub(r"\W+", "_", name.casefold()).strip("_")
    return {"images": IMAGE, "majority_decision": DECISION, "glaucoma_decision": DECISION}.get(plain, plain)


def _paired(images: Sequence[str], others: Iterable[_Other], name_of: Callable[[_Other], str]) -> dict[str, _Other]:
    """Pair images with rows or maps of the same name: by all of it first, then by what stands before a ``-``."""
    pairs: dict[str, _Other] = {}
    free = list(others)
    for key in (_stem, _short_stem):
        by_key: dict[str, _Other] = {}
        for other in free:
            by_key.setdefault(key(name_of(other)), other)
        for member in images:
            if member not in pairs and (name := key(_file(member))) in by_key:
                pairs[member] = by_key.pop(name)
        taken = {id(other) for other in pairs.values()}
        free = [other for other in free if id(other) not in taken]
    return pairs


def _file(member: str) -> str:
    return member.rpartition("/")[2]


def _stem(name: str) -> str:
    return without_suffix(name.casefold())


def _short_stem(name: str) -> str:
    return without_suffix(name.casefold().partition("-")[0].strip())


def _brighter(image: Image.Image, level: int, where: str) -> Image.Image:
    """Return where an image is brighter than a level, in black and white."""
    return pixels.to_mode(image, "L", where)[0].point([0] * (level + 1) + [255] * (255 - level))


RECIPE = Glaucoma()
