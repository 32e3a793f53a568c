"""Images a second from our loader when all of them come from the disk, each once a pass. Arguments: ROOT SECONDS."""

from __future__ import annotations

import sys

import medimeta as mm
from benchmarks.cold import Cold
from benchmarks.pace import BATCH_SIZE, images_per_second_in_passes, tell


def main(root: str, seconds: str) -> None:
    """Measure and tell."""
    dataset = mm.load("pbc/cell class", root=root, split="train")
    batches = mm.loader(dataset, BATCH_SIZE, shuffle=True, normalize=None)
    cold = Cold(dataset.stored.images.path)
    rate = images_per_second_in_passes(lambda: sum(len(images) for images, _ in batches), float(seconds), cold)
    tell(rate, images=len(dataset), threads=dataset.stored.images.threads, cache=str(cold))


if __name__ == "__main__":
    main(*sys.argv[1:])
