"""Rows of results: the runs of one cell over all its seeds, in an order that does not depend on which ran first."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from statistics import fmean, stdev
from typing import Any

from medimeta.benchmark.paper import paper_auroc
from medimeta.benchmark.record import Record
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import TaskCard
from medimeta.errors import UnknownNameError

SUPERVISED = "supervised"
METHODS = (SUPERVISED, "finetune", "linear-probe", "protonet", "maml")  # the order of tables; others come after them
ORIGINS = ("imagenet", "multi-domain", "maml", "scratch")
STANDARD_ERRORS = 1.96  # either way of a mean over episodes: 95 %
OF_THE_CELL = ("seed", "method", "backbone", "weights", "shots")  # settings that rows have columns for


@dataclass(frozen=True)
class Row:
    """The runs of one task, method, backbone, origin of weights and number of shots, with one set of settings.

    Attributes
    ----------
    task, method, backbone, weights, shots
        The cell; `weights` by their name for people; `shots` is None for a supervised model.
    settings : mapping of str to str
        Every other setting, by name, and the data.
    runs : tuple of Record
        One a seed, ascending.
    apart : str
        Settings in which the row differs from others of the same cell; empty where there are none.
    """

    task: str
    method: str
    backbone: str
    weights: str
    shots: int | None
    settings: Mapping[str, str]
    runs: tuple[Record, ...]
    apart: str = ""

    @property
    def supervised(self) -> bool:
        """Whether the model was trained on the whole train split and tested on the test split."""
        return self.shots is None

    @property
    def card(self) -> TaskCard | None:
        """The task's card; None for people's own data."""
        return _card(self.task)

    @property
    def model(self) -> str:
        """Backbone and weights, and what sets the row apart."""
        parts = [self.backbone, self.weights, self.apart]
        return ", ".join(part for part in (parts if self.supervised else [self.method, *parts]) if part)

    @property
    def test_samples(self) -> int:
        """How many samples the test split has."""
        return self.runs[0].samples.get("test", 0)

    @property
    def episodes(self) -> int:
        """How many episodes there are, of all seeds."""
        return sum(int(run.test.get("episodes") or 0) for run in self.runs)

    @property
    def partial(self) -> bool:
        """Whether the dataset was built from a part of its original."""
        return any(run.data_partial for run in self.runs)

    def mean(self, figure: str) -> float | None:
        """Return a figure's mean over seeds; None where no seed has it."""
        return _mean([run.test.get(figure) for run in self.runs])

    def bounds(self, figure: str) -> tuple[float, float] | None:
        """Return a figure's interval: of a supervised model the widest over seeds, of episodes the mean's."""
        if not self.supervised:
            mean, half = self.mean(figure), self.half_width(figure)
            return None if mean is None or half is None else (mean - half, mean + half)
        found = [bounds for run in self.runs if (bounds := run.test.get(f"{figure}_interval")) is not None]
        return (min(low for low, _ in found), max(high for _, high in found)) if found else None

    def half_width(self, figure: str) -> float | None:
        """Return 1.96 standard errors of a mean over episodes; None where no run tells them."""
        errors = [run.test.get(f"{figure}_standard_error") for run in self.runs]
        known = [float(error) for error in errors if error is not None]
        return STANDARD_ERRORS * math.hypot(*known) / len(known) if known else None

    @cached_property
    def auroc(self) -> float | None:
        """The mean AUROC, a fraction."""
        return self.mean("auroc")

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The interval of `auroc`."""
        return self.bounds("auroc")

    @cached_property
    def spread(self) -> float | None:
        """The standard deviation of AUROC over seeds; None of a single one."""
        known = [run.auroc for run in self.runs if run.auroc is not None]
        return stdev(known) if len(known) > 1 else None

    @property
    def paper(self) -> float | None:
        """The paper's figure, as a fraction; None for what it does not report."""
        return paper_auroc(self.card, self.backbone) if self.supervised and self.card else None

    @property
    def difference(self) -> float | None:
        """How far AUROC is above the paper's, by the paper's rule that a class without AUROC counts 0.

        None where either is missing, or the data are only a part.
        """
        ours = _mean([(run.test.get("auroc_by_rule") or {}).get("zero", run.auroc) for run in self.runs])
        return None if ours is None or self.paper is None or self.partial else ours - self.paper


def make_rows(records: Sequence[Record]) -> list[Row]:
    """Gather records by cell and settings, in the order of the catalogue.

    Parameters
    ----------
    records : sequence of Record
        Finished runs, in any order.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        settings = tuple(sorted(settings_of(record).items()))
        groups.setdefault((*_cell(record), settings), []).append(record)
    cells: dict[tuple[Any, ...], list[Row]] = {}
    for (*_, settings), runs in groups.items():
        runs.sort(key=lambda run: run.seed)
        first = runs[0]
        row = Row(
            task=first.task,
            method=first.method,
            backbone=first.backbone,
            weights=first.weights_name,
            shots=first.shots,
            settings=dict(settings),
            runs=tuple(runs),
        )
        cells.setdefault(_cell(first), []).append(row)
    return sorted((named for same in cells.values() for named in _set_apart(same)), key=_place)


def _cell(record: Record) -> tuple[Any, ...]:
    return record.task, record.method, record.backbone, record.weights_name, record.shots


def settings_of(record: Record) -> dict[str, str]:
    """Return everything but its cell that a run's figures depend on, flat, as text."""
    found = {name: value for name, value in flat(record.config).items() if name not in OF_THE_CELL}
    found["data"] = record.data.removeprefix("sha256:")[:8]
    if record.test.get("absent") not in (None, "skip"):
        found["absent"] = str(record.test["absent"])
    if record.weights.startswith("sha256:"):  # files of one name may differ
        found["weights"] = record.weights.removeprefix("sha256:")[:8]
    return found


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings, with dots.

    Examples
    --------
    >>> flat({"seed": 0, "augmentation": {"rotation": 10.0}})
    {'seed': '0', 'augmentation.rotation': '10.0'}
    """
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)
    return found


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts resnet18 before resnet101."""
    return tuple((int(digits or 0), letters.casefold()) for letters, digits in re.findall(r"(\D*)(\d*)", name))


def task_place(task: str) -> tuple[int, str]:
    """Return a key that sorts tasks as the catalogue does, and people's own after them, by name."""
    return _places().get(task, len(_places())), task


def _set_apart(rows: Sequence[Row]) -> list[Row]:
    names = sorted({name for row in rows for name in row.settings})
    differing = [name for name in names if len({row.settings.get(name) for row in rows}) > 1]
    return [
        replace(row, apart=", ".join(f"{name} {row.settings.get(name, 'unset')}" for name in differing)) for row in rows
    ]


def _place(row: Row) -> tuple[Any, ...]:
    return (
        task_place(row.task),
        rank(row.method, METHODS),
        natural(row.backbone),
        rank(row.weights, ORIGINS),
        row.shots or 0,
        natural(row.apart),
    )


def rank(name: str, known: Sequence[str]) -> tuple[int, str]:
    """Return a key that sorts known names in their order, and others after them."""
    return (known.index(name) if name in known else len(known), name)


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return fmean(known) if known else None


@cache
def _places() -> dict[str, int]:
    return {task.id: place for place, task in enumerate(default_catalogue().tasks())}


@cache
def _card(task: str) -> TaskCard | None:
    try:
        return default_catalogue().task(task)
    except UnknownNameError:
        return None
