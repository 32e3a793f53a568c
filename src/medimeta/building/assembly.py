"""The writer's half of a build: put rendered samples in their places, in whatever order they come."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from medimeta._zlib import crc32
from medimeta.building.journal import Entry, Journal, checked
from medimeta.building.plan import Plan
from medimeta.building.render import RenderedSample
from medimeta.recipes.recipe import Pixels
from medimeta.store.manifest import SourceDigest
from medimeta.store.publish import remove
from medimeta.store.table import SampleTable
from medimeta.store.writer import DatasetWriter, can_go_on

JOURNAL = "journal.jsonl"


@dataclass
class Tally:
    """What is counted over the finished samples."""

    enlarged: int = 0
    converted: Counter[str] = field(default_factory=Counter)
    masks: int = 0
    warnings: list[str] = field(default_factory=list)


class Assembly:
    """A dataset in the making.

    Parameters
    ----------
    plan : Plan
        What is to be built.
    digest : str
        Digest of all that decides about its bytes: an unfinished build of the same digest goes on.
    folder : Path
        Where it is made: an empty folder, or one that a broken build has left.
    size : int
        Side of the images in pixels.

    Attributes
    ----------
    resumed : int
        How many samples an earlier, broken build had finished.
    """

    def __init__(self, plan: Plan, digest: str, folder: Path, size: int) -> None:
        self.plan = plan
        dataset, count = folder / "dataset", len(plan.samples)
        with ExitStack() as opened:
            self.journal = Journal(folder / JOURNAL, digest)
            opened.callback(self.journal.close)
            going_on = bool(self.journal.finished.entries) and can_go_on(dataset, plan.card, count, size)
            if not going_on:  # whatever lies here is of another plan, or was published already but for its journal
                self.journal.restart()
                remove(dataset)
            self.writer = DatasetWriter(dataset, plan.card, count, size, resume=going_on)
            opened.callback(self.writer.close)
            found = checked(self.journal.finished, self.writer.read_image, dataset)
            opened.pop_all()
        self._names = _names(plan)
        self._entries = found.entries
        self._members = found.members
        self.resumed = len(self._entries)
        self.writer.already_written(self._entries)

    @property
    def done(self) -> dict[int, Entry]:
        """The finished samples, by index."""
        return self._entries

    def place(self, samples: Sequence[tuple[RenderedSample, Pixels]], members: dict[str, str]) -> None:
        """Write the images and files of some samples, and note that they are finished."""
        self.writer.write_images([(sample.place[1], pixels) for sample, pixels in samples])
        entries = []
        for sample, _ in samples:
            for name, data in sample.files.items():
                self.writer.write_file(name, data)
            entries.append(
                Entry(
                    index=sample.place[1],
                    checksum=sample.checksum,
                    files={name: crc32(data) for name, data in sample.files.items()},
                    masks=sample.masks,
                    enlarged=sample.enlarged,
                    converted_from=sample.converted_from,
                    annotations=sample.annotations,
                    warnings=sample.warnings,
                )
            )
        own = {member: sha256 for member, sha256 in members.items() if member in self._names}
        self.journal.add(entries, own)
        self._entries.update((entry.index, entry) for entry in entries)
        self._members.update(own)

    def tally(self) -> Tally:
        """Count over the finished samples."""
        tally = Tally()
        for _, entry in sorted(self._entries.items()):
            tally.enlarged += entry.enlarged
            tally.masks += entry.masks
            tally.warnings += entry.warnings
            if entry.converted_from:
                tally.converted[entry.converted_from] += 1
        return tally

    def table(self) -> SampleTable:
        """Return the rows of the dataset."""
        return SampleTable(
            labels=self.plan.labels,
            split=self.plan.splits,
            original_split=[sample.original_split for sample in self.plan.samples],
            original_filepath=[sample.original_filepath for sample in self.plan.samples],
            extra=[
                {**sample.annotations, **self._entries[index].annotations}
                for index, sample in enumerate(self.plan.samples)
            ],
        )

    def source_digest(self, name: str) -> SourceDigest:
        """Return the digest of everything that was read of the original called `name`."""
        read = [(self._names[member], sha256) for member, sha256 in self._members.items()]
        lines = [f"{name} {sha256}\n" for name, sha256 in sorted([*self.plan.tables.items(), *read])]
        return SourceDigest(name=name, members=len(lines), sha256=hashlib.sha256("".join(lines).encode()).hexdigest())

    def close(self) -> None:
        """Close all files."""
        self.writer.close()
        self.journal.close()


def _names(plan: Plan) -> dict[str, str]:
    """Return the names by which members go in the digest of the source; an image goes by its (first) original path.

    It is then the same for an archive, a stream and a folder; and it holds what the dataset is made of, not what chunks
    happened to be read together.
    """
    names: dict[str, str] = {}
    for sample in plan.samples:
        names.setdefault(sample.member, sample.original_filepath)
    for sample in plan.samples:
        for mask in sample.masks:
            names.setdefault(mask, mask)
    return names


def by_dataset(samples: Sequence[RenderedSample]) -> dict[str, list[RenderedSample]]:
    """Group the samples of a chunk by the dataset that they belong to."""
    grouped: dict[str, list[RenderedSample]] = defaultdict(list)
    for sample in samples:
        grouped[sample.place[0]].append(sample)
    return grouped
