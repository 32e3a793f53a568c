"""Images a second that bare ``os.preadv`` reads in random order. Arguments: ROOT SECONDS [aligned] [cold].

As many threads as our reader has, each with its part of the images and a buffer for its part of a batch that it fills
again and again: no queue, no batches, no labels. No loader that copies images out of the page cache can be faster.
With ``aligned``, the buffers begin with a cache line, which no reader can do without for full speed; without, where
Python puts them. With ``cold``, all images are read once a pass, from the disk.
"""

from __future__ import annotations

import mmap
import os
import random
import sys
import threading

from benchmarks.cold import Cold
from benchmarks.pace import BATCH_SIZE, images_per_second_in_passes, tell
from medimeta.store.reader import open_dataset


def main(root: str, seconds: str, *how: str) -> None:
    """Measure and tell."""
    stored = open_dataset("pbc", root)
    images = stored.images
    if not images.contiguous or images.offset is None:
        raise SystemExit("positional reads need a contiguous block and a system with os.preadv")
    threads = images.threads
    image_bytes = images.shape[1] * images.shape[2] * images.shape[3]
    train = stored.split("train").tolist()
    random.Random(0).shuffle(train)
    positions = [images.offset + index * image_bytes for index in train]
    file = os.open(images.path, os.O_RDONLY)
    buffer_bytes = -(-BATCH_SIZE // threads) * image_bytes
    buffers = [mmap.mmap(-1, buffer_bytes) if "aligned" in how else bytearray(buffer_bytes) for _ in range(threads)]

    def read(part: int) -> None:
        view = memoryview(buffers[part])
        slots = [view[start : start + image_bytes] for start in range(0, len(view), image_bytes)]
        for place, position in enumerate(positions[part::threads]):
            os.preadv(file, [slots[place % len(slots)]], position)

    def one_pass() -> int:
        readers = [threading.Thread(target=read, args=(part,)) for part in range(threads)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        return len(positions)

    if "cold" in how:
        cold = Cold(images.path)
        rate = images_per_second_in_passes(one_pass, float(seconds), cold)
        tell(rate, threads=threads, images=len(positions), cache=str(cold))
    else:
        tell(images_per_second_in_passes(one_pass, float(seconds)), threads=threads, images=len(positions))


if __name__ == "__main__":
    main(*sys.argv[1:])
