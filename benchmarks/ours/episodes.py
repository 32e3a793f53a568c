"""Episodes a second that are drawn, as indices. Arguments: ROOT TASK SECONDS."""

from __future__ import annotations

import sys

import medimeta as mm
from benchmarks.pace import QUERIES, SHOTS, per_second, tell

LENGTH = 1_000_000  # more than are drawn


def main(root: str, task: str, seconds: str) -> None:
    """Measure and tell."""
    dataset = mm.load(task, root=root)
    episodes = mm.Episodes(dataset, shots=SHOTS, queries=QUERIES, length=LENGTH, seed=0)
    first = episodes[0]
    rate = per_second((episodes[number] for number in range(1, LENGTH)), float(seconds))
    tell(rate, episode=f"{len(first.support)} + {len(first.query)} images", images=len(dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
