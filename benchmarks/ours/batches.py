"""Images a second from our dataset, in random order. Arguments: ROOT uint8|float32|dataloader SECONDS.

The first two are batches of our loader; the last are those of PyTorch's, without workers.
"""

from __future__ import annotations

import sys

from torch.utils.data import DataLoader

import medimeta as mm
from benchmarks.pace import BATCH_SIZE, describe, images_per_second, tell


def main(root: str, kind: str, seconds: str) -> None:
    """Measure and tell."""
    dataset = mm.load("pbc/cell class", root=root, split="train")
    if kind == "dataloader":
        batches = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=0)
    else:
        batches = mm.loader(dataset, BATCH_SIZE, shuffle=True, normalize="imagenet" if kind == "float32" else None)
    batch = describe(next(iter(batches))[0])
    tell(images_per_second(batches, float(seconds)), batch=batch, images=len(dataset))


if __name__ == "__main__":
    main(*sys.argv[1:])
