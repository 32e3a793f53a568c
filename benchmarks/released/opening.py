"""Milliseconds to open a task with the released package, after its import. Arguments: ROOT"""

from __future__ import annotations

import sys
import time

from benchmarks.pace import tell
from medimeta import MedIMeta


def main(root: str) -> None:
    """Measure and tell."""
    started = time.perf_counter()
    dataset = MedIMeta(root, "cxr", "disease labels", split="train")
    seconds = time.perf_counter() - started
    tell(1000 * seconds, images=len(dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
