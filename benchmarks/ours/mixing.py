"""Images a second in epochs over all tasks of all datasets. Arguments: ROOT mixed|plain SECONDS.

Mixed: each batch is of another task. Plain: our loader reads one task after the other, with the same settings.
"""

from __future__ import annotations

import sys
from itertools import chain

import medimeta as mm
from benchmarks.pace import BATCH_SIZE, images_per_second_in_passes, tell


def main(root: str, how: str, seconds: str) -> None:
    """Measure and tell."""
    datasets = [mm.load(task.id, root=root) for task in mm.tasks()]
    if how == "mixed":
        loaders = [mm.MixedBatches(datasets, batch_size=BATCH_SIZE, normalize=None, rgb=True)]
    else:
        loaders = [mm.loader(each, BATCH_SIZE, shuffle=True, normalize=None, rgb=True) for each in datasets]

    def one_pass() -> int:
        return sum(len(batch[0]) for batch in chain.from_iterable(loaders))

    rate = images_per_second_in_passes(one_pass, float(seconds))
    tell(rate, tasks=len(datasets), images=sum(map(len, datasets)))


if __name__ == "__main__":
    main(*sys.argv[1:])
