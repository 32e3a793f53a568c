"""A whole build, from the archive to the verified dataset. Arguments: rate|memory SOURCE SIZE DATASET...

The rate is of images a second, with everything: planning, rendering by two workers, writing, hashing, verifying. The
memory is the peak of all processes together in MB, pages that they share counted once.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import medimeta as mm
from benchmarks.data import BUILT, CACHE
from benchmarks.pace import tell

WORKERS = 2


def main(what: str, source: str, size: str, *datasets: str) -> None:
    """Measure and tell."""
    # Looking at memory takes time of its own: it is looked at only where it is the figure.
    peak = Peak() if what == "memory" else None
    build = mm.build  # imports what builds, as the other side has imported its library before it starts
    root = Path(tempfile.mkdtemp(prefix=BUILT, dir=CACHE))
    with peak or nullcontext():
        started = time.perf_counter()
        reports = build(datasets, source, root, workers=WORKERS, size=int(size), allow_partial=True)
        seconds = time.perf_counter() - started
    # The many small files stay until all is measured: for minutes after files were removed, ext4 looks at the place of
    # each of them before it makes a new one, a millisecond a file, and so would slow down the next round.
    for report in reports:
        (report.folder / "images.hdf5").unlink()
    images = sum(report.samples for report in reports)
    tell(peak.megabytes if peak else images / seconds, images=images, seconds=seconds)


class Peak:
    """The peak of the memory of this process and all below it, looked at twenty times a second."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.megabytes = max(self.megabytes, sum(map(_shared_out, _family())) / 1e3)


def _family() -> list[int]:
    """Return the ids of this process and of all below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # ended meanwhile
                continue
    family = [int(Path("/proc/self").resolve().name)]
    for parent in family:
        family += [child for child, of in parents.items() if of == parent]
    return family


def _shared_out(process: int) -> int:
    """Return the memory of a process in kB, shared pages divided by those who share them."""
    try:
        lines = (Path("/proc") / str(process) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
