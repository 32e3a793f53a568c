"""The writer's half of a build: put rendered chunks in their places, in whatever order they come."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from medimeta.building.plan import Plan
from medimeta.building.render import RenderedChunk, RenderedSample
from medimeta.store import layout
from medimeta.store.manifest import SourceDigest
from medimeta.store.table import SampleTable
from medimeta.store.writer import DatasetWriter


@dataclass
class Tally:
    """What is counted while samples are placed."""

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
    writer : DatasetWriter
        Where it is written.
    """

    def __init__(self, plan: Plan, writer: DatasetWriter) -> None:
        self.plan = plan
        self.writer = writer
        self.tally = Tally()
        self._members: list[tuple[tuple[str, str], ...]] = [()] * len(plan.samples)
        self._extra: list[dict[str, str]] = [{}] * len(plan.samples)

    def place(self, chunk: RenderedChunk) -> None:
        """Write the images and masks of a whole chunk, and keep what is known of its samples."""
        self.writer.write_images(chunk.start, np.stack([sample.pixels for sample in chunk.samples]))
        for index, sample in enumerate(chunk.samples, chunk.start):
            self._place_sample(index, sample)

    def _place_sample(self, index: int, sample: RenderedSample) -> None:
        for suffix, mask in sample.masks.items():
            self.writer.write_mask(index, suffix, mask)
        self.tally.masks += len(sample.masks)
        self.tally.enlarged += sample.enlarged
        self.tally.warnings += sample.warnings
        if sample.converted_from:
            self.tally.converted[sample.converted_from] += 1
        self._members[index] = sample.members
        mask_stem = f"{layout.MASKS}/{layout.stem(index)}"
        late = {column: value.replace("{mask}", mask_stem) for column, value in sample.annotations.items()}
        self._extra[index] = {**self.plan.samples[index].annotations, **late}

    def table(self) -> SampleTable:
        """Return the rows of the dataset."""
        return SampleTable(
            labels=self.plan.labels,
            split=self.plan.splits,
            original_split=[sample.original_split for sample in self.plan.samples],
            original_filepath=[sample.original_filepath for sample in self.plan.samples],
            extra=self._extra,
        )

    def source_digest(self, name: str) -> SourceDigest:
        """Return the digest of everything that was read of the original called `name`."""
        lines = [f"{member} {sha256}\n" for members in self._members for member, sha256 in members]
        return SourceDigest(name=name, members=len(lines), sha256=hashlib.sha256("".join(lines).encode()).hexdigest())
