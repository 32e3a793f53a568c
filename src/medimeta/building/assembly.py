"""The writer's half of a build: put rendered samples in their places, in whatever order they come."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medimeta.building.journal import Entry, Journal, checked
from medimeta.building.plan import Plan
from medimeta.building.render import RenderedSample
from medimeta.recipes.recipe import Pixels
from medimeta.store.manifest import SourceDigest
from medimeta.store.table import SampleTable
from medimeta.store.writer import DatasetWriter


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
        self.journal = Journal(folder / "journal.jsonl", digest)
        going_on = bool(self.journal.finished.entries)
        self.writer = DatasetWriter(folder / "dataset", plan.card, len(plan.samples), size, resume=going_on)
        found = checked(self.journal.finished, self.writer.read_image, self.writer.folder)
        self._entries = found.entries
        self._members = {**plan.tables, **found.members}
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
                    files={name: zlib.crc32(data) for name, data in sample.files.items()},
                    masks=sample.masks,
                    enlarged=sample.enlarged,
                    converted_from=sample.converted_from,
                    annotations=sample.annotations,
                    warnings=sample.warnings,
                )
            )
        self.journal.add(entries, members)
        self._entries.update((entry.index, entry) for entry in entries)
        self._members.update(members)

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
        lines = [f"{member} {sha256}\n" for member, sha256 in sorted(self._members.items())]
        return SourceDigest(name=name, members=len(lines), sha256=hashlib.sha256("".join(lines).encode()).hexdigest())

    def close(self) -> None:
        """Close all files."""
        self.writer.close()
        self.journal.close()


def by_dataset(samples: Sequence[RenderedSample]) -> dict[str, list[RenderedSample]]:
    """Group the samples of a chunk by the dataset that they belong to."""
    grouped: dict[str, list[RenderedSample]] = defaultdict(list)
    for sample in samples:
        grouped[sample.place[0]].append(sample)
    return grouped
