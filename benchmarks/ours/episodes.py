"""Episodes a second that are drawn, as indices. Arguments: ROOT TASK SECONDS [any].

With ``any``, support and query set may have patients in common, as the released sampler has it.
"""

from __future__ import annotations

import sys

import medimeta as mm
from benchmarks.pace import QUERIES, SHOTS, per_second, tell

LENGTH = 1_000_000  # more than are drawn


def main(root: str, task: str, seconds: str, patients: str = "apart") -> None:
    """Measure and tell."""
    dataset = mm.load(task, root=root)
    options = {"disjoint_subjects": False} if patients == "any" else {}
    episodes = mm.Episodes(dataset, shots=SHOTS, queries=QUERIES, length=LENGTH, seed=0, **options)
    first = episodes[0]
    rate = per_second((episodes[number] for number in range(1, LENGTH)), float(seconds))
    tell(rate, episode=f"{len(first.support)} + {len(first.query)} images", images=len(dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
