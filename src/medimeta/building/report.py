"""What a build did, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medimeta.errors import bullet_list


@dataclass(frozen=True)
class BuildReport:
    """The result of building one dataset.

    Attributes
    ----------
    dataset : str
        Id of the dataset.
    folder : Path
        Where it lies.
    samples : int
        How many samples it has.
    splits : mapping of str to int
        How many of them are in each split.
    size : int
        Side of the images in pixels.
    enlarged : int
        Images whose original was smaller than `size`.
    converted : mapping of str to int
        Pillow mode of originals that were not in the stored mode, to how many there were.
    masks : int
        Mask files written.
    warnings : tuple of str
        What is odd about the original, with the place of each oddity.
    departures : tuple of str
        In what the counts differ from the release's; not empty only with ``allow_partial``.
    dropped : tuple of str
        What the recipe's rules leave out, with place and reason.
    left_out : tuple of str
        Rows without image and images without row, which a partial build leaves out.
    resumed : int
        Samples that an earlier, broken build had finished.
    seconds : float
        Wall time, from planning to publication.
    fingerprint : str
        Digest of images, labels and splits: equal for equal data.
    """

    dataset: str
    folder: Path
    samples: int
    splits: Mapping[str, int]
    size: int
    enlarged: int
    converted: Mapping[str, int]
    masks: int
    warnings: tuple[str, ...]
    departures: tuple[str, ...]
    dropped: tuple[str, ...]
    left_out: tuple[str, ...]
    resumed: int
    seconds: float
    fingerprint: str

    @property
    def images_per_second(self) -> float:
        """Samples built in a second, without those that an earlier build had finished."""
        return (self.samples - self.resumed) / self.seconds if self.seconds else 0.0

    def text(self) -> str:
        """Return the report for people."""
        splits = ", ".join(f"{count:,} {split}" for split, count in self.splits.items())
        lines = [
            f"{self.dataset}: {self.samples:,} images of {self.size}x{self.size} ({splits}) in {self.seconds:.1f} s, "
            f"{self.images_per_second:,.0f} images/s, verified: {self.folder}"
        ]
        if self.resumed:
            lines.append(f"  went on with an unfinished build, which had {self.resumed:,} images")
        if self.enlarged:
            lines.append(f"  {self.enlarged:,} originals were smaller than {self.size} pixels and were enlarged")
        if self.converted:
            modes = ", ".join(f"{count:,} from {mode}" for mode, count in self.converted.items())
            lines.append(f"  colour mode converted: {modes}")
        if self.masks:
            lines.append(f"  {self.masks:,} mask files")
        if self.warnings:
            lines += ["  odd in the original:", bullet_list(self.warnings)]
        if self.dropped:
            lines += ["  left out by the rules of the dataset:", bullet_list(self.dropped)]
        if self.left_out:
            lines += ["  left out, as table and images do not fit together:", bullet_list(self.left_out)]
        if self.departures:
            lines.append("  built from a part of the original, as the manifest records:")
            lines += [f"    {departure}" for departure in self.departures]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain values, ready for JSON."""
        return {
            "dataset": self.dataset,
            "folder": str(self.folder),
            "samples": self.samples,
            "splits": dict(self.splits),
            "size": self.size,
            "enlarged": self.enlarged,
            "converted": dict(self.converted),
            "masks": self.masks,
            "warnings": list(self.warnings),
            "departures": list(self.departures),
            "dropped": list(self.dropped),
            "left_out": list(self.left_out),
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 1),
            "fingerprint": self.fingerprint,
        }
