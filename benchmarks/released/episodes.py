"""Episodes a second that torchcross draws, as indices. Arguments: ROOT TASK SECONDS."""

from __future__ import annotations

import sys

from torchcross.data.metadataset import FewShotMetaDataset

from benchmarks.pace import QUERIES, SHOTS, per_second, tell
from medimeta import MedIMeta

LENGTH = 1_000_000  # more than are drawn


def main(root: str, task: str, seconds: str) -> None:
    """Measure and tell."""
    source = MedIMeta(root, *task.split("/"))
    episodes = FewShotMetaDataset(
        source,
        n_support_samples_per_class=SHOTS,
        n_query_samples_per_class=QUERIES,
        filter_classes_min_samples=SHOTS + QUERIES,
        length=LENGTH,
        output_indices=True,
    )
    first = next(iter(episodes))
    rate = per_second(episodes, float(seconds))
    tell(rate, episode=f"{len(first.support)} + {len(first.query)} images", images=len(source))


if __name__ == "__main__":
    main(*sys.argv[1:])
