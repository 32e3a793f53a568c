"""What became of the download of one dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medimeta.hub.attribution import Attribution
from medimeta.store.disk import room


@dataclass(frozen=True)
class DownloadReport:
    """What became of the download of one dataset.

    Attributes
    ----------
    dataset : str
        Id of the dataset.
    folder : Path
        Where it lies.
    samples : int
        How many samples it has.
    fetched : bool
        Whether it came now; else it was there, and is whole.
    attribution : Attribution
        Its terms.
    url : str
        Where its archive came from; empty where it was there.
    bytes : int
        Length of the archive.
    checksum : str
        What the archive was checked against; empty where nothing named one.
    seconds : float
        How long fetching, unpacking and checking took.
    archive : Path or None
        The archive, where it was kept.
    departures : tuple of str
        In what the dataset departs from the catalogue's card.
    remarks : tuple of str
        What else a user should know.
    """

    dataset: str
    folder: Path
    samples: int
    fetched: bool
    attribution: Attribution
    url: str = ""
    bytes: int = 0
    checksum: str = ""
    seconds: float = 0.0
    archive: Path | None = None
    departures: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the report for people, without the terms."""
        if self.fetched:
            checked = self.checksum or "no checksum known"
            how = f"{room(self.bytes)} from {self.url} in {self.seconds:.0f} s ({checked}), unpacked and verified"
        else:
            how = "is there already and whole; nothing was fetched"
        lines = [f"{self.dataset}: {self.samples:,} samples, {how}: {self.folder}"]
        lines += [f"  WARNING: {departure}" for departure in self.departures]
        lines += [f"  ({remark})" for remark in self.remarks]
        lines += [f"  archive kept: {self.archive}"] if self.archive else []
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return {
            "dataset": self.dataset,
            "folder": str(self.folder),
            "samples": self.samples,
            "fetched": self.fetched,
            "url": self.url,
            "bytes": self.bytes,
            "checksum": self.checksum,
            "seconds": self.seconds,
            "archive": None if self.archive is None else str(self.archive),
            "departures": list(self.departures),
            "remarks": list(self.remarks),
            **self.attribution.as_dict(),
        }
