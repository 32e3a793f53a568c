"""What is compared: for each case its sides, and which of them must be how many times as good as which."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pace import BATCH_SIZE

OURS, RELEASED = "ours", "released"


@dataclass(frozen=True)
class Side:
    """One side of a case: a command whose one line tells its figure, or whose wall time is the figure."""

    command: tuple[str, ...]
    wall_time: bool = False


@dataclass(frozen=True)
class Comparison:
    """One side against another; without a target it is there for orientation."""

    title: str
    side: str
    against: str
    target: float | None = None


@dataclass(frozen=True)
class Case:
    """One benchmark.

    Attributes
    ----------
    name : str
        As options and result files call it.
    unit : str
        Of the figures of all sides.
    more_is_better : bool
        Whether the figure is a rate; else it is a time.
    rounds : int
        How often each side is measured.
    sides : dict of str to Side
        By name, in the order in which they take turns.
    comparisons : tuple of Comparison
        What becomes rows of the table.
    note : str
        What a reader of the figures should know.
    """

    name: str
    unit: str
    more_is_better: bool
    rounds: int
    sides: dict[str, Side]
    comparisons: tuple[Comparison, ...]
    note: str


@dataclass(frozen=True)
class Effort:
    """How long each measurement lasts."""

    seconds: float
    steps: int


FULL = Effort(seconds=1.5, steps=4)
QUICK = Effort(seconds=0.2, steps=1)
QUICK_ROUNDS = 2


def all_cases(root: Path, released: Path, effort: Effort) -> tuple[Case, ...]:
    """Lay out all cases for a dataset below `root` and a Python with the released packages."""

    def worker(python: str | Path, module: str, *arguments: object) -> Side:
        return Side((str(python), "-m", f"benchmarks.{module}", str(root), *map(str, arguments)))

    def process(python: str | Path, *arguments: str) -> Side:
        return Side((str(python), *arguments), wall_time=True)

    here = sys.executable
    return (
        Case(
            name="batches-uint8",
            unit="images/s",
            more_is_better=True,
            rounds=5,
            sides={
                OURS: worker(here, "ours.batches", "uint8", effort.seconds),
                RELEASED: worker(released, "released.batches", "plain", effort.seconds),
                "preadv": worker(here, "reference.preadv", effort.seconds),
            },
            comparisons=(
                Comparison("random uint8 batches", OURS, RELEASED, target=20),
                Comparison("of what bare preadv reads", OURS, "preadv"),
            ),
            note=f"Batches of {BATCH_SIZE}, 224x224x3, in random order, from the page cache. Ours: "
            "`mm.loader(ds, 64, shuffle=True, normalize=None)`. Released: `DataLoader(ds, batch_size=64, shuffle=True, "
            "num_workers=0)`, which delivers float32: it has no uint8 to offer. Bare preadv: two threads into buffers "
            "that are used again.",
        ),
        Case(
            name="batches-float32",
            unit="images/s",
            more_is_better=True,
            rounds=5,
            sides={
                OURS: worker(here, "ours.batches", "float32", effort.seconds),
                RELEASED: worker(released, "released.batches", "normalized", effort.seconds),
            },
            comparisons=(Comparison("random float32 batches, normalised", OURS, RELEASED, target=3),),
            note='As batches-uint8, but normalised with ImageNet statistics. Ours: `normalize="imagenet"`. Released: '
            "torchvision's `ToTensor` and `Normalize` as the dataset's transform.",
        ),
        Case(
            name="training-step",
            unit="s/step",
            more_is_better=False,
            rounds=5,
            sides={
                OURS: worker(here, "ours.training", effort.steps),
                RELEASED: worker(released, "released.training", effort.steps),
            },
            comparisons=(Comparison("training step, ResNet-18", OURS, RELEASED, target=2),),
            note=f"ResNet-18 from scratch, batches of {BATCH_SIZE}, 224x224x3, Adam, cross-entropy, on the processor, "
            "loading and normalising included, without augmentation on either side, so that both do the same work. "
            "Ours: uint8 from our loader, `TaskModel` in channels_last, bfloat16 where the processor multiplies it. "
            "Released: float32 in contiguous memory, torchvision's model, normalised by the dataset's transform.",
        ),
        Case(
            name="start",
            unit="s",
            more_is_better=False,
            rounds=9,
            sides={
                "import": process(here, "-c", "import medimeta"),
                "list": process(here, "-m", "medimeta", "list"),
                RELEASED: process(released, "-c", "import medimeta"),
            },
            comparisons=(
                Comparison("import medimeta", "import", RELEASED, target=10),
                Comparison("medimeta list, against import", "list", RELEASED, target=10),
            ),
            note="Wall time of a whole process, the start of Python included. `medimeta list` is compared with the "
            "released `import medimeta`, which has no such command.",
        ),
    )
