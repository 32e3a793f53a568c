"""Episodes a second that our linear probe solves. Arguments: ROOT EPISODES."""

from __future__ import annotations

import sys
import time

import torch

import medimeta as mm
from benchmarks.pace import QUERIES, SHOTS, tell
from medimeta.learning.device import best_precision
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.run import run_few_shot


def main(root: str, episodes: str) -> None:
    """Measure and tell."""
    dataset = mm.load("pbc/cell class", root=root)
    config = FewShotConfig(
        method="linear-probe",
        weights="none",
        shots=SHOTS,
        queries=QUERIES,
        episodes=int(episodes),
        precision=best_precision(),
    )
    started = time.perf_counter()
    result = run_few_shot(dataset, config)
    tell(
        int(episodes) / (time.perf_counter() - started),
        episode=f"{SHOTS * 8} + {QUERIES * 8} images",
        precision=config.precision,
        threads=torch.get_num_threads(),
        auroc=result.auroc,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
