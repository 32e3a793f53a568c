"""People's own data, a folder for each class: ``<class>/**/<image>``, or ``<split>/<class>/**/<image>``.

The folders at the top are splits where every one of them is called like one (train, validation, test, ...) and the
images lie in folders below. Order: by class, then by path as a plain string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from medimeta.catalogue.own import FolderCard, clean
from medimeta.errors import SourceNotFoundError, TableError
from medimeta.recipes.own_recipe import OwnRecipe, label_of, natural, split_of
from medimeta.recipes.recipe import Listing, Options, Sample
from medimeta.sources.archive import Archive

GROUP = "group"  # the annotation


@dataclass(frozen=True)
class FolderRecipe(OwnRecipe):
    """Images in a folder for each class."""

    card: FolderCard

    name = "folder"

    @property
    def subject_column(self) -> str | None:
        """The annotation that holds the group."""
        return None if self.card.group is None else GROUP

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the images of every class folder.

        Raises
        ------
        SourceNotFoundError
            There is no image in a folder.
        TableError
            Folders cannot be told apart as splits and classes.
        """
        images = self.images(source)
        split_folders = self._has_split_folders(source, images)
        listing = Listing({self.card.id: []})
        found: list[tuple[tuple[int, int, str], str, Sample]] = []
        for member in images:
            parts = member.split("/")
            split = split_of(parts[0]) if split_folders else "train"
            below = parts[split_folders:]
            if len(below) < 2:
                listing.unnamed.append(f"{source.where(member)}: lies in no class folder")
                continue
            label = label_of(self.card, below[0])
            group = self._group("/".join(below[1:]))
            if self.card.group is not None and group is None:
                lacks = f"the pattern of group, {self.card.group!r}, is not in it"
                listing.unusable.append(TableError(f"{source.where(member)}: {lacks}"))
                continue
            sample = Sample(
                member=member,
                original_filepath=member,
                labels={self.card.task: below[0] if label is None else label},
                original_split=split or "train",
                group=group,
                annotations={} if group is None else {GROUP: group},
                details=self.look,
            )
            found.append((natural(clean(below[0])), member, sample))
        listing.samples[self.card.id] = [sample for _, _, sample in sorted(found, key=lambda each: each[:2])]
        listing.unnamed += self._unreadable(source)
        if not listing.samples[self.card.id] and not listing.unusable:
            others = listing.unnamed[:1]
            raise SourceNotFoundError(
                f"{source.where('')}: has no folder with PNG, JPEG or TIFF images in it"
                + "".join(f" ({place})" for place in others)
                + ". Expected a folder for each class, with its images."
            )
        return listing

    def _has_split_folders(self, source: Archive, images: tuple[str, ...]) -> bool:
        tops = list(dict.fromkeys(member.split("/")[0] for member in images if "/" in member))
        splits = [top for top in tops if split_of(top) and clean(top) not in (self.card.labels or {})]
        if len(splits) < len(tops) and len(splits) > 1:
            others = [top for top in tops if top not in splits]
            raise TableError(
                f"{source.where('')}: has the folders {' and '.join(splits)}, which look like splits, beside "
                f"{', '.join(others[:5])}. Move what is no split elsewhere; if all are classes, list them under labels."
            )
        return bool(splits) and len(splits) == len(tops) and all(member.count("/") != 1 for member in images)

    def _group(self, path: str) -> str | None:
        match = re.search(self.card.group, clean(path)) if self.card.group is not None else None
        return None if match is None else next((part for part in match.groups() if part), match[0]) or None

    def _unreadable(self, source: Archive) -> Iterator[str]:
        for member in self.unreadable(source):
            yield f"{source.where(member)}: is not PNG, JPEG or TIFF; convert it, or name it under skip"
