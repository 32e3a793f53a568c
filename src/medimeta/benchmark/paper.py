"""The figures of the paper's Table 1."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from medimeta.catalogue.schema import TaskCard

BACKBONES = ("resnet18", "resnet50")


@cache
def _paper_figures() -> dict[tuple[str, str], float]:
    text = (files("medimeta.benchmark") / "paper_auroc.csv").read_text(encoding="utf-8")
    return {
        (row["dataset"], backbone): float(row[backbone]) / 100
        for row in csv.DictReader(text.splitlines())
        for backbone in BACKBONES
    }


def paper_auroc(task: TaskCard, backbone: str) -> float | None:
    """Return the test AUROC that the paper's Table 1 reports, as a fraction; None for what it does not report.

    Examples
    --------
    >>> import medimeta as mm
    >>> paper_auroc(mm.task("bus/case category"), "resnet18"), paper_auroc(mm.task("bus/malignancy"), "resnet18")
    (0.96, None)
    """
    return _paper_figures().get((task.dataset, backbone)) if task.primary else None
