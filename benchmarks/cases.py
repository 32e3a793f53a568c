"""What is compared: for each case its sides, and which of them must be how many times as good as which."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

OURS, RELEASED = "ours", "released"


@dataclass(frozen=True)
class Side:
    """One side of a case: a command whose one line tells its figure, or whose wall time is the figure.

    GPUs are hidden from it, unless it is one that is measured.
    """

    command: tuple[str, ...]
    wall_time: bool = False
    gpu: bool = False


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
    prepare : callable, optional
        Makes the data that are missing; called before the first round, and only where the case is measured.
    """

    name: str
    unit: str
    more_is_better: bool
    rounds: int
    sides: dict[str, Side]
    comparisons: tuple[Comparison, ...]
    note: str
    prepare: Callable[[], object] | None = None

    @property
    def gpu(self) -> bool:
        """Whether it takes a GPU."""
        return any(side.gpu for side in self.sides.values())


@dataclass(frozen=True)
class Effort:
    """How long each measurement lasts."""

    seconds: float
    steps: int


FULL = Effort(seconds=1.5, steps=4)
QUICK = Effort(seconds=0.2, steps=1)
QUICK_ROUNDS = 2


def ours(module: str, *arguments: object, gpu: bool = False) -> Side:
    """Return a side that runs a worker in this environment."""
    return replace(_worker(sys.executable, f"ours.{module}", arguments), gpu=gpu)


def released(python: Path, module: str, *arguments: object) -> Side:
    """Return a side that runs a worker in the environment of the released packages."""
    return _worker(python, f"released.{module}", arguments)


def reference(module: str, *arguments: object) -> Side:
    """Return a side that says what the machine allows, or a bound that is given."""
    return _worker(sys.executable, f"reference.{module}", arguments)


def process(python: str | Path, *arguments: str) -> Side:
    """Return a side whose figure is the wall time of a process."""
    return Side((str(python), *arguments), wall_time=True)


def _worker(python: str | Path, module: str, arguments: tuple[object, ...]) -> Side:
    return Side((str(python), "-m", f"benchmarks.{module}", *map(str, arguments)))
