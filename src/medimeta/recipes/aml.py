"""White blood cells in acute myeloid leukaemia: ``AML-Cytomorphology_LMU.zip``.

``AML-Cytomorphology/<CODE>/<CODE>_NNNN.tiff`` (400x400, RGBA) and, beside that folder, ``annotations.dat``; both at
the root of the zip or in a folder ``AML-Cytomorphology_LMU/``. The label file has no head, and white space between its
four words: the image's path, the annotation and two re-annotations, ``nan`` where nobody re-annotated (seen).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from medimeta.catalogue.catalogue import default_catalogue
from medimeta.errors import SourceError, SourceNotFoundError, TableError
from medimeta.recipes.pixels import crop, render_image, thumbnail
from medimeta.recipes.recipe import Listing, Options, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_all
from medimeta.sources.archive import Archive
from medimeta.sources.find import Original, Part
from medimeta.sources.images import is_image, without_suffix

TASK = "morphological class"
TABLE = "annotations.dat"
READINGS = ("annotation", "first_reannotation", "second_reannotation")
# Images of other originals may lie below the same folder: only what is named like ours must be named in the table.
_OURS = re.compile(r"([a-z]{3})/\1_\d+")


class _Line(NamedTuple):
    place: str
    folder: str
    name: str
    readings: dict[str, str]

    @property
    def stem(self) -> str:
        return without_suffix(f"{self.folder}/{self.name}").casefold()


class Aml(Recipe):
    """Thumbnail; order by the lines of the label file; 70/10/20 by image."""

    name = "aml"
    original = Original("AML-Cytomorphology_LMU", (Part(("AML-Cytomorphology_LMU.zip",), frozenset({TABLE})),))

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images that the label file names; the label is the folder's code, whatever the readings say."""
        labels = {label.split()[0]: label for label in default_catalogue().task(f"aml/{TASK}").classes}
        images = {without_suffix(tail): member for tail, member in source.by_tail(2).items() if is_image(tail)}
        listing = Listing({"aml": []})
        lines, misused = _lines(source, listing.unusable)
        for line in lines:
            member = images.pop(line.stem, None)
            if member is None:
                listing.missing.append(f"{line.place}: {line.folder}/{line.name} is missing")
                continue
            listing.samples["aml"].append(
                Sample(
                    member=member,
                    original_filepath=f"{line.folder}/{line.name}",
                    labels={TASK: labels.get(line.folder, line.folder)},
                    annotations=line.readings,
                )
            )
        listing.unnamed = [
            f"{source.where(member)}: is not named in {TABLE}"
            for stem, member in sorted(images.items())
            if _OURS.fullmatch(stem) and stem not in misused
        ]
        return listing

    def splits(self, dataset: str, samples: Sequence[Sample]) -> list[str]:
        """Split by image: the source names no patients."""
        return split_all(samples)

    def render(self, source: Archive, sample: Sample, options: Options) -> Rendered:
        """Render the image; all are square, so that there is nothing to crop."""
        return render_image(source, sample.member, options, "RGB", square=crop, scale=thumbnail)


def _lines(source: Archive, unusable: list[SourceError]) -> tuple[list[_Line], set[str]]:
    """Read the label file; return its lines, and the images that are named in lines that cannot be used."""
    table = source.by_tail(1).get(TABLE)
    if table is None:
        raise SourceNotFoundError(f"{source.where('')}: has no {TABLE}, the file that names the images of aml.")
    where = source.where(table)
    lines: list[_Line] = []
    misused: set[str] = set()
    first: dict[str, int] = {}
    for number, text in enumerate(source.read(table).decode("utf-8-sig", errors="replace").splitlines(), 1):
        words = text.split()
        if not words:
            continue
        place = f"{where}, line {number}"
        folder, _, name = "/".join(words[0].replace("\\", "/").split("/")[-2:]).rpartition("/")
        if len(words) != 1 + len(READINGS) or not is_image(words[0]) or not folder:
            got = f"expected CODE/CODE_NNNN.tiff and three readings, got {' '.join(words)[:80]!r}"
            unusable.append(TableError(f"{place}: {got}"))
            misused.add(without_suffix(f"{folder}/{name}").casefold())
            continue
        readings = ("" if word.casefold() == "nan" else word for word in words[1:])
        line = _Line(place, folder, name, dict(zip(READINGS, readings, strict=True)))
        if first.setdefault(line.stem, number) != number:
            unusable.append(TableError(f"{place}: {folder}/{name} is already in line {first[line.stem]}"))
        else:
            lines.append(line)
    return lines, misused


RECIPE = Aml()
