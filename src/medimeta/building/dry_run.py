"""What a build would do, told without building: samples, splits and room on the disk, from the tables alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medimeta.building.disk import needed_bytes
from medimeta.building.plan import Plan, make_plans
from medimeta.building.settings import DEFAULT_SIZE, Settings
from medimeta.building.sources import find_passes
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import bullet_list
from medimeta.store import layout
from medimeta.store.disk import free_bytes, room


@dataclass(frozen=True)
class BuildPlan:
    """What a build of one dataset would do.

    Attributes
    ----------
    dataset : str
        Id of the dataset.
    folder : Path
        Where it would lie.
    source : Path
        Where its original was found.
    exists : bool
        Whether a dataset is there already.
    samples : int
        How many samples it would have.
    splits : dict of str to int
        How many of them in each split.
    size : int
        Side of the images in pixels.
    needed_bytes, free_bytes : int
        Room that it takes, and that the disk has.
    departures, dropped, left_out : tuple of str
        See `medimeta.building.report.BuildReport`.
    """

    dataset: str
    folder: Path
    source: Path
    exists: bool
    samples: int
    splits: dict[str, int]
    size: int
    needed_bytes: int
    free_bytes: int
    departures: tuple[str, ...]
    dropped: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it."""
        return self.needed_bytes <= self.free_bytes

    def text(self) -> str:
        """Return the plan for people."""
        splits = ", ".join(f"{count:,} {split}" for split, count in self.splits.items())
        lines = [
            f"{self.dataset}: would build {self.samples:,} images of {self.size}x{self.size} ({splits})",
            f"  from {self.source}",
            f"  into {self.folder}{', which is there already (--overwrite replaces it)' if self.exists else ''}",
            f"  needs {room(self.needed_bytes)}, {room(self.free_bytes)} are free{'' if self.fits else ': TOO LITTLE'}",
        ]
        for title, problems in (
            ("counts depart from the release's:", self.departures),
            ("left out by the rules of the dataset:", self.dropped),
            ("left out, as table and images do not fit together:", self.left_out),
        ):
            if problems:
                lines += [f"  {title}", bullet_list(problems)]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """Return the plan as plain values, ready for JSON."""
        return {
            "dataset": self.dataset,
            "folder": str(self.folder),
            "source": str(self.source),
            "exists": self.exists,
            "samples": self.samples,
            "splits": self.splits,
            "size": self.size,
            "needed_bytes": self.needed_bytes,
            "free_bytes": self.free_bytes,
            "fits": self.fits,
            "departures": list(self.departures),
            "dropped": list(self.dropped),
            "left_out": list(self.left_out),
        }


def plan_build(
    dataset: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    source: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    size: int = DEFAULT_SIZE,
    allow_partial: bool = False,
    tiff: bool = False,
    release_errata: bool = False,
) -> list[BuildPlan]:
    """Say what `medimeta.build` would do with the same arguments; reads tables and file names, and writes nothing.

    Examples
    --------
    >>> [plan] = plan_build("pbc", getfixture("originals"), getfixture("tmp_path"), allow_partial=True)
    >>> plan.dataset, plan.splits["test"] > 0, plan.fits
    ('pbc', True, True)
    """
    settings = Settings(layout.default_root(root), 1, size, allow_partial, tiff=tiff, release_errata=release_errata)
    return [
        _describe(plan, found.source.path, settings)
        for found in find_passes(dataset, source, settings)
        for plan in make_plans(found.cards, found.recipe, found.source, settings.options)
    ]


def _describe(plan: Plan, source: Path, settings: Settings) -> BuildPlan:
    folder = settings.root / plan.card.id
    return BuildPlan(
        dataset=plan.card.id,
        folder=folder,
        source=source,
        exists=folder.exists(),
        samples=len(plan.samples),
        splits={split: list(plan.splits).count(split) for split in SPLITS},
        size=settings.size,
        needed_bytes=needed_bytes(plan, settings.options, tiff=settings.tiff),
        free_bytes=free_bytes(settings.root),
        departures=plan.departures,
        dropped=plan.dropped,
        left_out=plan.left_out,
    )
