"""Run the sides of a case in turns, each time in a fresh process."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from benchmarks.cases import Case, Comparison, Side
from benchmarks.environment import REPOSITORY, environment
from benchmarks.others import Others, Patience

TIMEOUT = 600  # seconds: a worker that hangs should end the run some time


@dataclass
class Figures:
    """What was measured of one side.

    Attributes
    ----------
    values : list of float
        One a round.
    disturbed : int
        How many of them were taken although other processes were busy.
    facts : dict
        What the worker said about its work.
    """

    values: list[float] = field(default_factory=list)
    disturbed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle of the values."""
        return median(self.values)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        spread = {"median": self.median, "min": min(self.values), "max": max(self.values)}
        return {**spread, "values": self.values, "disturbed": self.disturbed, "facts": self.facts}


Measured = dict[str, Figures]


def measure(case: Case, rounds: int, patience: float, tell: Callable[[str], None]) -> Measured:
    """Measure every side once a round; `tell` hears of each figure.

    Runs begin when other processes are idle, and are repeated when these disturbed them, for as long as there is
    `patience`, in seconds; then every run counts, and is counted as disturbed.
    """
    measured = {name: Figures() for name in case.sides}
    left = Patience(patience)
    for side in case.sides.values():
        if side.wall_time:
            _run(side)  # the first start writes bytecode and fills the page cache; workers warm up by themselves
    for number in range(1, rounds + 1):
        for name, side in case.sides.items():
            run = _quiet_run(side, left)
            figures = measured[name]
            figures.values.append(run.value)
            figures.disturbed += run.disturbed
            figures.facts = run.facts
            disturbed = ", while other processes were busy" if run.disturbed else ""
            tell(f"{case.name}, round {number} of {rounds}, {name}: {run.value:,.4g} {case.unit}{disturbed}")
    return measured


def ratio(case: Case, comparison: Comparison, measured: Measured) -> float:
    """Return how many times as good a side is as the other, by their medians."""
    side, against = measured[comparison.side].median, measured[comparison.against].median
    return side / against if case.more_is_better else against / side


class _Run(NamedTuple):
    value: float
    seconds: float
    disturbed: bool
    facts: dict[str, Any]


def _quiet_run(side: Side, patience: Patience) -> _Run:
    while True:
        patience.wait()
        run = _run(side)
        if not run.disturbed or not patience.spend(run.seconds):
            return run


def _run(side: Side) -> _Run:
    others = Others()
    started = time.perf_counter()
    done = subprocess.run(
        side.command,
        env=environment(gpu=side.gpu),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    seconds = time.perf_counter() - started
    disturbed = others.disturbed()
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SystemExit(f"{' '.join(side.command)}\nended with {done.returncode}: {last}")
    if side.wall_time:
        return _Run(seconds, seconds, disturbed, {})
    told = json.loads(done.stdout.splitlines()[-1])
    return _Run(told["value"], seconds, disturbed, told["facts"])
