"""Milliseconds to open a task, the first call of a process whose imports are done. Arguments: ROOT"""

from __future__ import annotations

import sys
import time

import medimeta as mm
import medimeta.loading.dataset
from benchmarks.pace import tell


def main(root: str) -> None:
    """Measure and tell."""
    started = time.perf_counter()
    dataset = mm.load("cxr/disease labels", root=root, split="train")
    seconds = time.perf_counter() - started
    tell(1000 * seconds, images=len(dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
